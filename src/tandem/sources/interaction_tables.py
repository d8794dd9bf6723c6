"""Reading an interaction log in Parquet, with or without tables of its users and items, in MovieLens' form."""

import logging
import re
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.interaction_tables_files import (
    COLUMNS,
    EXPECTED,
    NEVER_NULL,
    Kind,
    TableFiles,
    TableName,
    locate_interaction_tables,
    other_tables,
)
from tandem.sources.movielens import RawMovieLens, TableRead
from tandem.sources.parquet_columns import FileGroup, StoredColumn
from tandem.sources.parquet_rows import (
    LARGEST,
    Checked,
    first_problem,
    number,
    read_group,
    seconds,
    text,
    texts,
    union,
    whole,
)
from tandem.storage.filesystems import explaining_reads
from tandem.storage.locations import Location

logger = logging.getLogger(__name__)

# Twelve digits and more are milliseconds.
_LATEST = 99_999_999_999
_TYPES: dict[Kind, str] = {
    "id": "long",
    "seconds": "long",
    "number": "double",
    "age": "int",
    "year": "int",
    "text": "string",
    "texts": "array<string>",
}
_WHOLE: dict[Kind, tuple[int, int]] = {"id": (-LARGEST - 1, LARGEST), "age": (0, 150), "year": (1000, 9999)}
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
            id that has two rows in the table of users or items; other rows than the footers promise.
    """
    files = locate_interaction_tables(folder)
    _tell_what_is_not_read(folder, files)
    rows = {name: _read(spark, name, table) for name, table in files.items()}
    _check(files, rows)
    read = {str(name): TableRead(len(table.paths), table.rows) for name, table in files.items()}
    tables = {name: table.select(*COLUMNS[name]) for name, table in rows.items()}
    interactions = tables["interactions"]
    users, items = (_side(name, tables.get(name), interactions) for name in _KEYS)
    return RawMovieLens(interactions, users, items, read)


def _tell_what_is_not_read(folder: Location, files: dict[TableName, TableFiles]) -> None:
    for table in files.values():
        if table.unused:
            logger.warning("%s: not used: %s", table.place, ", ".join(table.unused))
        if table.hidden:
            logger.warning("%s: not read, as names with . or _ are hidden: %s", table.place, _listed(table.hidden))
    others = other_tables(folder)
    if others:
        logger.warning("%s: not read: %s", folder, ", ".join(others))


def _listed(paths: tuple[Location, ...], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(path.name for path in paths[:most]) + more


def _read(spark: SparkSession, name: TableName, files: TableFiles) -> DataFrame:
    """The table's columns, and what is wrong with a row: ``_what`` (null: nothing), ``_file`` and ``_row``."""
    return union([_read_group(spark, name, group) for group in files.groups])


def _read_group(spark: SparkSession, name: TableName, group: FileGroup) -> DataFrame:
    kinds = COLUMNS[name]
    checked = {
        column: _checked(kind, F.col(column), group.columns[column])
        for column, kind in kinds.items()
        if column in group.columns
    }
    values = {column: checked[column].value if column in checked else _unknown(kind) for column, kind in kinds.items()}
    columns = [value.cast(_TYPES[kinds[column]]).alias(column) for column, value in values.items()]
    what = first_problem(checked, {column: EXPECTED[kinds[column]] for column in checked})
    return read_group(spark, group).select(*columns, what.alias("_what"), "_file", "_row")


def _checked(kind: Kind, value: Column, stored: StoredColumn) -> Checked:
    if kind == "number":
        found = number(value, stored)
    elif kind == "seconds":
        found = seconds(value, stored, _LATEST)
        if stored.per_second is None:
            found = Checked(found.value, found.bad, F.concat(found.shown, _hint(value)))
    elif kind == "text":
        found = text(value)
    elif kind == "texts":
        found = texts(value)
    else:
        found = whole(value, stored, *_WHOLE[kind])
    if kind not in NEVER_NULL:
        return found
    return Checked(found.value, found.value.isNull(), F.coalesce(found.shown, F.lit("nothing")))


def _hint(value: Column) -> Column:
    return F.when(value > _LATEST, " (milliseconds?)").otherwise("")


def _unknown(kind: Kind) -> Column:
    if kind == "number":
        return F.lit(_RATING)
    return (F.array() if kind == "texts" else F.lit(None)).cast(_TYPES[kind])


def _side(name: TableName, table: DataFrame | None, interactions: DataFrame) -> DataFrame:
    """A table of users or items, with every id of the interactions where there is none."""
    if table is not None:
        return table
    ids = interactions.select(_KEYS[name]).distinct()
    unknown = {column: _unknown(kind) for column, kind in COLUMNS[name].items() if column != _KEYS[name]}
    return ids.select(_KEYS[name], *(value.alias(column) for column, value in unknown.items()))


def _check(files: dict[TableName, TableFiles], rows: dict[TableName, DataFrame]) -> None:
    """All tables in one job, which reads every column: what cannot be read is told before anything is written."""
    found = {row["name"]: row for row in union([_summary(name, table) for name, table in rows.items()]).collect()}
    for name, table in rows.items():
        summary, place = found[name], files[name].place
        if summary["rows"] != files[name].rows:
            raise UserError(
                f"{place}: Spark read {summary['rows']:,} of the {files[name].rows:,} rows that its files have; they "
                "may have changed meanwhile: run again"
            )
        if summary["bad"]:
            raise UserError(_bad_row(summary))
        if name in _KEYS and summary["keys"] < summary["rows"]:
            key = _KEYS[name]
            (twice,) = table.groupBy(key).count().where("count > 1").orderBy(key).take(1)
            raise UserError(f"{place}: column {key}: {twice[key]} stands there {twice['count']} times; keep one row")


def _summary(name: TableName, table: DataFrame) -> DataFrame:
    """One row: how many rows, keys and rows that cannot be, and where and what the first of those is."""
    return table.agg(
        F.lit(name).alias("name"),
        F.count(F.lit(1)).alias("rows"),
        (F.count_distinct(_KEYS[name]) if name in _KEYS else F.lit(None).cast("long")).alias("keys"),
        F.count("_what").alias("bad"),
        F.min(F.when(F.col("_what").isNotNull(), F.struct("_file", "_row", "_what"))).alias("first"),
    )


def _bad_row(summary: Row) -> str:
    first, more = summary["first"], f" ({summary['bad']:,} such rows)" if summary["bad"] > 1 else ""
    path = re.sub("^file:/+", "/", unquote(first["_file"]))
    return f"{path}, row {first['_row']}: {first['_what']}{more}; mend or remove it"
