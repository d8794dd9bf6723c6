"""Ids as the rest of the house has them: whole numbers as they are, texts by their number in ascending order."""

from dataclasses import replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from tandem.parameters import TablesParameters
from tandem.sources.schema import IdKind, InteractionTables, Side, TableRead
from tandem.sources.tables.roles import Table, TableName, described, log_schema
from tandem.sources.tables.values import TYPES

_KEYS: dict[Side, str] = {"users": "user_id", "items": "item_id"}


def with_ids(
    parameters: TablesParameters, rows: dict[TableName, DataFrame], texts: dict[str, bool], read: dict[str, TableRead]
) -> InteractionTables:
    """The tables of a log.

    rows: checked, their ids as texts; texts: by ``user_id`` and ``item_id``, whether these are more than numbers; read:
    what was read of each table. Numbers of texts are kept by Spark, in memory or on disk.
    """
    log = _log(rows["interactions"])
    tables = {table.name: table for table in described(parameters)}
    sides, unlisted = {}, {}
    for side, key in _KEYS.items():
        own = _side(tables.get(side), rows.get(side), key)
        if texts[key]:
            numbers = _numbers(log, own, key)
            log = log.withColumnRenamed(key, "key").join(numbers, "key").drop("key")
            sides[side] = _named(numbers, own, key)
            if side in rows and own is not None:
                unlisted[side] = numbers.join(own, F.col("key") == own[f"_{key}"], "left_anti").select(key)
        else:
            log = log.withColumn(key, F.col(key).cast("long"))
            sides[side] = _whole(log, own, key)
    kinds: dict[str, IdKind] = {key: "text" if is_text else "whole" for key, is_text in texts.items()}
    schema = replace(log_schema(parameters), user_ids=kinds["user_id"], item_ids=kinds["item_id"])
    order = ("user_id", "item_id", "weight", "timestamp", "label", "split")
    final = {side: _filled(tables.get(side), table, _KEYS[side]) for side, table in sides.items()}
    return InteractionTables(
        log.select(*order), final["users"], final["items"], schema, read, unlisted.get("users"), unlisted.get("items")
    )


def _log(rows: DataFrame) -> DataFrame:
    """The interactions with all their columns, without those that have no weight."""
    filled: dict[str, Column] = {
        "weight": F.lit(1.0),
        "timestamp": F.lit(None).cast("long"),
        "label": F.lit(1),
        "split": F.lit(None).cast("string"),
    }
    columns = [F.col(name) if name in rows.columns else value.alias(name) for name, value in filled.items()]
    kept = rows.where(F.col("weight").isNotNull()) if "weight" in rows.columns else rows
    return kept.select("user_id", "item_id", *columns)


def _side(table: Table | None, rows: DataFrame | None, key: str) -> DataFrame | None:
    """A table of users or items, its ids as ``_user_id`` or ``_item_id``."""
    if table is None or rows is None:
        return None
    names = [role.name for role in table.roles if role.name != key]
    return rows.select(F.col(key).alias(f"_{key}"), *names)


def _numbers(log: DataFrame, own: DataFrame | None, key: str) -> DataFrame:
    """``key``, each text once, and its number from 1."""
    found = log.select(F.col(key).alias("key"))
    if own is not None:
        found = found.unionAll(own.select(F.col(f"_{key}").alias("key")))
    numbered = found.distinct().select("key", F.row_number().over(Window.orderBy("key")).cast("long").alias(key))
    return numbered.persist()


def _named(numbers: DataFrame, own: DataFrame | None, key: str) -> DataFrame:
    """A row an id, whether the table of the side has it or the interactions alone."""
    if own is None:
        return numbers.select(key, "key")
    return numbers.join(own, F.col("key") == own[f"_{key}"], "left").drop(f"_{key}")


def _whole(log: DataFrame, own: DataFrame | None, key: str) -> DataFrame:
    no_key = F.lit(None).cast("string").alias("key")
    if own is None:
        return log.select(key).distinct().select(key, no_key)
    return own.withColumn(key, F.col(f"_{key}").cast("long")).drop(f"_{key}").withColumn("key", no_key)


def _filled(table: Table | None, rows: DataFrame, key: str) -> DataFrame:
    """Columns in the order of the schema, by the names of the features; what is not there is unknown."""
    roles = {} if table is None else {role.name: role for role in table.roles}
    columns = [F.col(key), F.col("key")]
    if key == "item_id":
        columns.append(F.col("title") if "title" in rows.columns else F.lit(None).cast("string").alias("title"))
    for own, name in ({} if table is None else table.features).items():
        kind = roles[own].kind
        value = F.col(own) if own in rows.columns else F.lit(None).cast(TYPES[kind])
        if kind == "categories":
            value = F.coalesce(value, F.array().cast("array<string>"))
        columns.append(value.alias(name))
    return rows.select(*columns)
