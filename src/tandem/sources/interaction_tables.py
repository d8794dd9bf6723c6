"""Reading an interaction log in Parquet, with or without tables of its users and items, in MovieLens' form."""

import logging
import re
from functools import reduce
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.interaction_tables_files import (
    COLUMNS,
    EXPECTED,
    Kind,
    TableFiles,
    TableName,
    locate_interaction_tables,
)
from tandem.sources.movielens import RawMovieLens
from tandem.storage.filesystems import explaining_reads
from tandem.storage.locations import Location, spark_address

logger = logging.getLogger(__name__)

# Twelve digits and more are milliseconds.
_LATEST = 99_999_999_999
_OLDEST = 150
_TYPES: dict[Kind, str] = {
    "id": "long",
    "seconds": "long",
    "number": "double",
    "years": "int",
    "text": "string",
    "texts": "array<string>",
}
_KEYS: dict[TableName, str] = {"users": "user_id", "items": "item_id"}
# Of a log without ratings: nothing but the order of two at the same time depends on them.
_RATING = 1.0


@explaining_reads()
def read_interaction_tables(spark: SparkSession, folder: Location) -> RawMovieLens:
    """The tables in a folder (see :func:`locate_interaction_tables`), each row checked, in one Spark job.

    ``interactions``: ``user_id`` and ``item_id``, any whole numbers; ``timestamp``, seconds since 1970 or a Parquet
    timestamp (without a time zone: UTC); ``rating``, 1.0 where there is no such column. ``users``: ``user_id`` and any
    of ``gender``, ``age``, ``occupation``, ``zip_code``. ``items``: ``item_id`` and any of ``title``, ``year``,
    ``genres``. What is not there is unknown; a table that is not there has every id of the interactions.

    Raises:
        UserError: what files and footers tell; a row with a value that cannot be, named with file, row and column; an
            id that has two rows in the table of users or items.
    """
    files = locate_interaction_tables(folder)
    for table in files.values():
        if table.unused:
            logger.warning("%s: not used: %s", table.place, ", ".join(table.unused))
    rows = {name: _read(spark, name, table) for name, table in files.items()}
    _check(files, rows)
    interactions = rows["interactions"].drop("_at")
    return RawMovieLens(interactions, *(_side(name, rows.get(name), interactions) for name in _KEYS))


def _read(spark: SparkSession, name: TableName, files: TableFiles) -> DataFrame:
    """The table's columns, and ``_at``, a struct of file and row (from 1)."""
    rows = spark.read.parquet(*[spark_address(path) for path in files.paths])
    at = F.struct(F.col("_metadata.file_path").alias("file"), (F.col("_metadata.row_index") + 1).alias("row"))
    return rows.select(*(_column(column, kind, files.types) for column, kind in COLUMNS[name].items()), at.alias("_at"))


def _column(name: str, kind: Kind, types: dict[str, pa.DataType]) -> Column:
    if name not in types:
        return _unknown(kind).alias(name)
    value, type_ = F.col(name), types[name]
    if pa.types.is_timestamp(type_):
        value = F.unix_seconds(value.cast("timestamp"))
    if pa.types.is_floating(type_):
        value = F.when(~F.isnan(value), value)
    value = value.cast(_TYPES[kind])
    if kind == "text":
        value = F.nullif(value, F.lit(""))
    if kind == "texts":
        value = F.coalesce(F.array_remove(F.array_compact(value), ""), F.array())
    return value.alias(name)


def _unknown(kind: Kind) -> Column:
    if kind == "number":
        return F.lit(_RATING)
    return (F.array() if kind == "texts" else F.lit(None)).cast(_TYPES[kind])


def _side(name: TableName, table: DataFrame | None, interactions: DataFrame) -> DataFrame:
    """A table of users or items, with every id of the interactions where there is none."""
    if table is not None:
        return table.drop("_at")
    ids = interactions.select(_KEYS[name]).distinct()
    unknown = {column: _unknown(kind) for column, kind in COLUMNS[name].items() if column != _KEYS[name]}
    return ids.select(_KEYS[name], *(value.alias(column) for column, value in unknown.items()))


def _check(files: dict[TableName, TableFiles], rows: dict[TableName, DataFrame]) -> None:
    summaries = [_summary(name, table) for name, table in rows.items()]
    found = {row["name"]: row for row in reduce(DataFrame.unionAll, summaries).collect()}
    for name, table in rows.items():
        summary = found[name]
        if summary["bad"]:
            raise UserError(_bad_row(summary))
        if name in _KEYS and summary["keys"] < summary["rows"]:
            key = _KEYS[name]
            (twice,) = table.groupBy(key).count().where("count > 1").orderBy(key).take(1)
            raise UserError(
                f"{files[name].place}: column {key}: {twice[key]} stands there {twice['count']} times; keep one row"
            )


def _summary(name: TableName, table: DataFrame) -> DataFrame:
    """One row: how many rows, keys and rows that cannot be, and where and what the first of those is."""
    problems = [
        F.when(bad, F.concat(F.lit(f"column {column}: expected {expected}, found "), _shown(column)))
        for column, (bad, expected) in _impossible(name).items()
    ]
    what = F.coalesce(*problems)
    return table.select(*table.columns, what.alias("_what")).agg(
        F.lit(name).alias("name"),
        F.count(F.lit(1)).alias("rows"),
        (F.count_distinct(_KEYS[name]) if name in _KEYS else F.lit(None).cast("long")).alias("keys"),
        F.count("_what").alias("bad"),
        F.min(F.when(F.col("_what").isNotNull(), F.struct("_at.file", "_at.row", "_what"))).alias("first"),
    )


def _impossible(name: TableName) -> dict[str, tuple[Column, str]]:
    """By column, where its value cannot be, and what is expected."""
    kinds = COLUMNS[name]
    found = {
        column: (F.col(column).isNull(), EXPECTED[kind]) for column, kind in kinds.items() if kind in ("id", "number")
    }
    if "timestamp" in kinds:
        seconds = F.col("timestamp")
        found["timestamp"] = (seconds.isNull() | ~seconds.between(0, _LATEST), EXPECTED["seconds"])
    if "age" in kinds:
        found["age"] = (~F.col("age").between(0, _OLDEST), f"whole years from 0 to {_OLDEST}")
    return found


def _shown(column: str) -> Column:
    text = F.coalesce(F.col(column).cast("string"), F.lit("nothing"))
    if column != "timestamp":
        return text
    return F.concat(text, F.when(F.col(column) > _LATEST, " (milliseconds?)").otherwise(""))


def _bad_row(summary: Row) -> str:
    first, more = summary["first"], f" ({summary['bad']:,} such rows)" if summary["bad"] > 1 else ""
    path = re.sub("^file:/+", "/", unquote(first["file"]))
    return f"{path}, row {first['row']}: {first['_what']}{more}; mend or remove it"
