"""Reading a log of one's own in Spark, each row checked before anything is made of it."""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.parameters import TablesParameters
from tandem.sources.parquet_columns import StoredColumn
from tandem.sources.parquet_rows import read_group, union
from tandem.sources.schema import InteractionTables, TableRead
from tandem.sources.tables.files import LocatedTable, ParquetPart, TextPart, locate_tables
from tandem.sources.tables.ids import with_ids
from tandem.sources.tables.roles import Role, TableName
from tandem.sources.tables.text_files import TextFile
from tandem.sources.tables.text_rows import row_schema, text_batches
from tandem.sources.tables.values import TYPES, checked, first_problem, is_whole
from tandem.storage.filesystems import explaining_reads
from tandem.storage.locations import Location

logger = logging.getLogger(__name__)

KEYS: dict[TableName, tuple[str, ...]] = {
    "interactions": ("user_id", "item_id"),
    "users": ("user_id",),
    "items": ("item_id",),
}
_TEXT = StoredColumn(pa.string(), "string")
_TEXTS = StoredColumn(pa.list_(pa.string()), "array<string>")
_SPARK = {pa.string(): "string", pa.int64(): "long", pa.list_(pa.string()): "array<string>"}


@explaining_reads()
def read(spark: SparkSession, parameters: TablesParameters) -> InteractionTables:
    """The tables that the parameters describe (see :func:`locate_tables`), each row checked, in one Spark job.

    Ids are whole numbers where each of them is, in the interactions and in the table of the side; else texts, and
    numbered. Rows without a weight are left out, and told. What is read of text is kept by Spark, in memory or on disk.

    Raises:
        UserError: what files and footers tell; a row with a value that cannot be, named with file, row and column; an
            id that has two rows in the table of users or items; other rows than the footers promise; no row is left.
    """
    located = locate_tables(parameters)
    for table in located:
        if table.hidden:
            logger.warning("%s: not read, as names with . or _ are hidden: %s", table.place, _listed(table.hidden))
    rows = {table.table.name: _kept(table, _read(spark, table)) for table in located}
    found = _check(located, rows)
    _tell_what_is_left_out(located.interactions, found["interactions"])
    texts = {key: any(summary[f"texts_{key}"] for summary in found.values()) for key in KEYS["interactions"]}
    read: dict[str, TableRead] = {}
    for table in located:
        read[table.table.name] = TableRead(table.files, found[table.table.name]["rows"])
    return with_ids(parameters, rows, texts, read)


def _listed(paths: tuple[Location, ...], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(path.name for path in paths[:most]) + more


def _kept(table: LocatedTable, rows: DataFrame) -> DataFrame:
    """Text is parsed once."""
    return rows.persist() if table.texts else rows


def _read(spark: SparkSession, table: LocatedTable) -> DataFrame:
    """The table's columns, and what is wrong with a row: ``_what`` (null: nothing), ``_file`` and ``_row``."""
    parts = [_parquet(spark, table, part) for part in table.parquet]
    alike: dict[tuple[str, str | None], list[TextPart]] = {}
    for part in table.texts:
        alike.setdefault((part.file.form, part.split), []).append(part)
    parts += [_text(spark, table, form, split, some) for (form, split), some in alike.items()]
    return union(parts)


def _parquet(spark: SparkSession, table: LocatedTable, part: ParquetPart) -> DataFrame:
    rows = read_group(spark, part.group)
    for name, column in part.folders.items():
        rows = rows.withColumn(name, _of_folder(column))
    stored = part.group.columns | dict.fromkeys(part.folders, _TEXT)
    return _typed(table, rows.withColumn("_found", F.lit(None).cast("string")), stored, part.split)


def _of_folder(column: str) -> Column:
    """What the names of a file's folders say of a column: those names are escaped by whoever writes partitions, and
    again as Spark's address.
    """
    pattern = f"/{re.escape(column)}=([^/]*)/"
    address = _decoded(F.col("_file"))
    value = F.when(address.rlike(pattern), _decoded(F.regexp_extract(address, f"^.*{pattern}", 1)))
    return F.when(value != "__HIVE_DEFAULT_PARTITION__", value)


def _decoded(text: Column) -> Column:
    """Without percent signs; a plus stays one."""
    return F.coalesce(F.try_url_decode(F.replace(text, F.lit("+"), F.lit("%2B"))), text)


def _text(
    spark: SparkSession, table: LocatedTable, form: str, split: str | None, parts: Sequence[TextPart]
) -> DataFrame:
    roles = table.table.roles
    schema = row_schema(roles, form)
    spelt = ", ".join(f"`{field.name}` {_SPARK[field.type]}" for field in schema)
    files = [(json.dumps(part.file.to_json()),) for part in parts]
    slices = spark.sparkContext.parallelize(files, len(files))
    rows = spark.createDataFrame(slices, "file string").mapInArrow(partial(_batches, roles=roles), spelt)
    stored = {role.name: _TEXTS if schema.field(role.name).type != pa.string() else _TEXT for role in roles}
    return _typed(table, rows.withColumnRenamed("_what", "_found"), stored, split)


def _batches(batches: Iterable[pa.RecordBatch], roles: Sequence[Role]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for text in batch.column(0).to_pylist():
            yield from text_batches(TextFile.from_json(json.loads(text)), roles)


def _typed(table: LocatedTable, rows: DataFrame, stored: dict[str, StoredColumn], split: str | None) -> DataFrame:
    roles, given = table.table.roles, table.table.parameters
    found = {
        role.name: checked(role, F.col(role.name), stored[role.name], given) for role in roles if role.name in stored
    }
    columns = []
    for role in roles:
        value = found[role.name].value if role.name in found else _unknown(role)
        columns.append(value.cast(TYPES[role.kind]).alias(role.name))
    if split is not None:
        columns.append(F.lit(split).alias("split"))
    what = F.coalesce("_found", first_problem(roles, found, given))
    return rows.select(*columns, what.alias("_what"), "_file", "_row")


def _unknown(role: Role) -> Column:
    return F.array() if role.kind == "categories" else F.lit(None)


def _check(located: Iterable[LocatedTable], rows: dict[TableName, DataFrame]) -> dict[TableName, Row]:
    """All tables in one job, which reads every column: what cannot be read is told before anything is written."""
    found: dict[TableName, Row] = {
        row["name"]: row for row in union([_summary(name, table) for name, table in rows.items()]).collect()
    }
    for table in located:
        name, summary = table.table.name, found[table.table.name]
        if summary["bad"]:
            raise UserError(_bad_row(summary))
        if table.rows is not None and summary["rows"] != table.rows:
            raise UserError(
                f"{table.place}: Spark read {summary['rows']:,} of the {table.rows:,} rows that its files have; they "
                "may have changed meanwhile: run again"
            )
        if name != "interactions" and summary["keys"] < summary["rows"]:
            raise UserError(_twice(table, rows[name]))
    return found


def _summary(name: TableName, table: DataFrame) -> DataFrame:
    """One row: how many rows, keys, texts among the ids, and rows that cannot be, where and what the first is."""
    is_log = name == "interactions"
    texts = {key: F.count_if(~is_whole(F.col(key))) if key in KEYS[name] else F.lit(0) for key in KEYS["interactions"]}
    weightless = F.count_if(F.col("weight").isNull()) if "weight" in table.columns else F.lit(0)
    return table.agg(
        F.lit(name).alias("name"),
        F.count(F.lit(1)).alias("rows"),
        (F.lit(None) if is_log else F.count_distinct(KEYS[name][0])).cast("long").alias("keys"),
        *(count.cast("long").alias(f"texts_{key}") for key, count in texts.items()),
        weightless.cast("long").alias("weightless"),
        F.count("_what").alias("bad"),
        F.min(F.when(F.col("_what").isNotNull(), F.struct("_file", "_row", "_what"))).alias("first"),
    )


def _bad_row(summary: Row) -> str:
    first, more = summary["first"], f" ({summary['bad']:,} such rows)" if summary["bad"] > 1 else ""
    path = re.sub("^file:/+", "/", unquote(first["_file"]))
    return f"{path}, row {first['_row']}: {' '.join(first['_what'].split())}{more}; mend or remove it"


def _twice(table: LocatedTable, rows: DataFrame) -> str:
    key, column = KEYS[table.table.name][0], table.table.roles[0].column
    places = F.sort_array(F.collect_list(F.struct("_file", "_row"))).alias("places")
    (found,) = rows.groupBy(key).agg(F.count(F.lit(1)).alias("times"), places).where("times > 1").orderBy(key).take(1)
    path = re.sub("^file:/+", "/", unquote(found["places"][1]["_file"]))
    return (
        f"{path}, row {found['places'][1]['_row']}: column {column}: {found[key]} stands there {found['times']} times; "
        "keep one row"
    )


def _tell_what_is_left_out(table: LocatedTable, summary: Row) -> None:
    column = next((role.column for role in table.table.roles if role.kind == "weight"), "")
    if summary["rows"] == summary["weightless"]:
        what = f"column {column} has no number in any row" if summary["rows"] else "there are no rows"
        raise UserError(f"{table.place}: {what}; name another column, or leave weight out")
    if summary["weightless"]:
        logger.warning(
            "%s: %s of %s rows are left out, as their column %s is empty",
            table.place, f"{summary['weightless']:,}", f"{summary['rows']:,}", column,
        )  # fmt: skip
