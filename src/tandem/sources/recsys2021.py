"""Reading the rows of the RecSys Challenge 2021, raw or Parquet, as one schema; every row is checked as it is read.

The check is part of the query: a row that cannot be read stops whichever job meets it first, with one line for the
user. So nothing is read twice, and nothing wrong passes unseen.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812
from pyspark.sql.types import BooleanType, DataType, LongType, StringType, StructField, StructType

from tandem.errors import UserError
from tandem.sources.parquet_columns import FileGroup, StoredColumn
from tandem.sources.parquet_rows import READ_OPTIONS, outside, read_group
from tandem.sources.recsys2021_files import Half, RawFiles, locate_recsys2021
from tandem.sources.recsys2021_format import (
    LARGEST,
    LINE_PATTERN,
    RAW_COLUMNS,
    SEPARATOR,
    TIMES,
    Future,
    Kind,
    RawColumn,
)
from tandem.sources.recsys2021_manifest import read_manifest
from tandem.storage.locations import Location, spark_pattern
from tandem.storage.parquet import is_binary

logger = logging.getLogger(__name__)

_SPARK_TYPES: dict[Kind, DataType] = {
    "text": StringType(),
    "count": LongType(),
    "time": LongType(),
    "engagement": LongType(),
    "flag": BooleanType(),
    "flag text": StringType(),
}
SCHEMA = StructType([StructField(column.name, _SPARK_TYPES[column.kind]) for column in RAW_COLUMNS])

# The entry points find this in the text of a failed Spark job and show what follows it, without a traceback.
_MARK = f"\n{UserError.__module__}.{UserError.__name__}: "


@dataclass(frozen=True)
class RawRecSys2021:
    """The challenge's rows.

    Attributes:
        train: rows of the 24 columns in :data:`SCHEMA`; an engagement's time is null where it did not happen.
        test: the same.
        unchecked_train: the rows of ``train`` without the check, for any further pass over them.
        best_auc: the area under the ROC curve of the true probability of any engagement on the test rows, which no
            model can beat but by chance; None where it is not known.
        read: of each half, which files.
        all_kept: whether every row of the files is among the rows.
    """

    train: DataFrame
    test: DataFrame
    unchecked_train: DataFrame
    best_auc: float | None = None
    read: dict[str, Half] = field(default_factory=dict)
    all_kept: bool = True


def read_recsys2021(
    spark: SparkSession, folder: Location, *, future: Future = "error", now: int | None = None
) -> RawRecSys2021:
    """The rows in ``folder/train`` and ``folder/test``; no job is started.

    Args:
        spark: the session.
        folder: with raw files (``\\x01`` between the columns) or Parquet; see :func:`locate_recsys2021`.
        future: what to do with a row that has a time after ``now``: such a time is mostly one in milliseconds.
            ``error`` stops at the first, ``keep`` leaves it as it is, ``drop`` leaves it out.
        now: seconds since 1970; by default the time of this call.

    Raises:
        UserError: what files and footers tell. What only a row tells is raised by the job that reads it: Spark's error
            then holds a line for the user, which the entry points find.
    """
    files = locate_recsys2021(folder)
    for name, half in files.halves.items():
        if half.hidden:
            hidden = ", ".join(half.hidden)
            logger.warning("%s: not read, as names with . or _ are hidden: %s", folder / name, hidden)
    moment = int(time.time()) if now is None else now
    train, test = (_read_all(spark, groups, future, moment) for groups in (files.train, files.test))
    # Which rows are left out is told by their times, which must be checked.
    unchecked = train if future == "drop" else _read_all(spark, files.train, None, moment)
    made = read_manifest(folder)
    best_auc = None if made is None else made.best_auc
    return RawRecSys2021(train, test, unchecked, best_auc, files.halves, future != "drop")


def _is_future(now: int) -> Column:
    return F.coalesce(F.greatest(*TIMES) > now, F.lit(False))


def _read_all(spark: SparkSession, groups: Sequence[RawFiles], future: Future | None, now: int) -> DataFrame:
    """Without ``future`` nothing is checked."""
    return reduce(DataFrame.unionAll, [_read(spark, group, future, now) for group in groups])


def _read(spark: SparkSession, files: RawFiles, future: Future | None, now: int) -> DataFrame:
    check = future is not None
    rows = _read_raw(spark, files, check) if files.stored is None else _read_parquet(spark, files.stored, check)
    if future == "error":
        found = F.coalesce(*[F.when(F.col(name) > now, _future_text(name, now)) for name in TIMES])
        rows = _stopping_at(rows, _is_future(now), found)
    elif future == "drop":
        rows = rows.where(~_is_future(now))
    return rows.select(*SCHEMA.names)


def _future_text(name: str, now: int) -> Column:
    value = F.col(name).cast("string")
    return F.concat(
        F.lit(f"column {name}: expected seconds since 1970 up to now ({now}), found "),
        value,
        F.when(F.col(name) > 100 * now, " (milliseconds?)").otherwise(" in the future"),
    )


def _stopping_at(rows: DataFrame, bad: Column, what: Column) -> DataFrame:
    """The rows; the first bad one ends the job. ``rows`` has the columns ``_file`` and ``_row`` (from 1, or null)."""
    path = F.regexp_replace("_file", "^file:/+", "/")
    place = F.concat(path, F.coalesce(F.concat(F.lit(", row "), F.col("_row").cast("string")), F.lit("")))
    line = F.concat(
        F.lit(_MARK), place, F.lit(": "), F.regexp_replace(what, r"\s+", " "), F.lit("; mend or remove it\n")
    )
    # Always true, but of a kind that Spark derives nothing from: else it would rewrite the condition for every
    # combination of the names that its columns are given later, until the memory ends.
    met = bad & (F.spark_partition_id() >= 0)
    return rows.where(F.when(met, F.raise_error(line).cast("boolean")).otherwise(True))


def _read_raw(spark: SparkSession, files: RawFiles, check: bool) -> DataFrame:
    reader = spark.read.options(**READ_OPTIONS).option("lineSep", "\n")
    lines = reader.text([spark_pattern(path) for path in files.paths])
    lines = lines.select("value", F.col("_metadata.file_path").alias("_file"), F.lit(None).cast("long").alias("_row"))
    lines = lines.where("value != '' and value != '\\r'")
    if check:
        lines = _stopping_at(lines, ~F.col("value").rlike(LINE_PATTERN), _raw_problem())
    texts = lines.select(F.split(F.rtrim("value", F.lit("\r")), SEPARATOR, -1).alias("texts"), "_file", "_row")
    columns = [_from_text(column, F.get("texts", F.lit(index))) for index, column in enumerate(RAW_COLUMNS)]
    return texts.select(*columns, "_file", "_row")


def _raw_problem() -> Column:
    texts = F.split(F.rtrim("value", F.lit("\r")), SEPARATOR, -1)
    count = F.size(texts)
    number = F.concat(F.lit(f"expected {len(RAW_COLUMNS)} columns separated by \\x01, found "), count.cast("string"))
    fields = []
    for index, column in enumerate(RAW_COLUMNS):
        if column.pattern is not None:
            text = F.get(texts, F.lit(index))
            fields.append(F.when(~text.rlike(f"^(?:{column.pattern})$"), _unexpected(column, text)))
    return F.coalesce(F.when(count != len(RAW_COLUMNS), number), *fields, F.lit("it cannot be read"))


def _unexpected(column: RawColumn, text: Column) -> Column:
    return F.concat(F.lit(f"column {column.name}: expected {column.expected}, found '"), text, F.lit("'"))


def _from_text(column: RawColumn, text: Column) -> Column:
    """A checked text as the column's type; an empty one is null."""
    value = F.nullif(text, F.lit(""))
    if column.kind == "text":
        return value.alias(column.name)
    if column.kind in ("flag", "flag text"):
        return value.cast("boolean").cast(_SPARK_TYPES[column.kind]).alias(column.name)
    return _null_for_none(column, value.cast("long")).alias(column.name)


def _null_for_none(column: RawColumn, number: Column) -> Column:
    """An engagement at second 0 did not happen: so some conversions fill the gaps."""
    return F.nullif(number, F.lit(0)) if column.kind == "engagement" else number


def _read_parquet(spark: SparkSession, stored: FileGroup, check: bool) -> DataFrame:
    rows = read_group(spark, stored)
    if check:
        problems = [(_bad_value(column, stored.columns.get(column.name)), column) for column in RAW_COLUMNS]
        checks = [(F.coalesce(bad, F.lit(False)), column) for bad, column in problems if bad is not None]
        texts = [F.when(bad, _unexpected(column, F.col(column.name).cast("string"))) for bad, column in checks]
        if checks:
            rows = _stopping_at(rows, reduce(Column.__or__, [bad for bad, _ in checks]), F.coalesce(*texts))
    return rows.select(
        *[_from_parquet(column, stored.columns.get(column.name)) for column in RAW_COLUMNS], "_file", "_row"
    )


def _bad_value(column: RawColumn, stored: StoredColumn | None) -> Column | None:
    """Whether a value that is stored so cannot be the column's; None where all can."""
    value = F.col(column.name)
    if stored is None or stored.read_as == "boolean":
        return None
    if column.pattern is None:
        return ~F.is_valid_utf8(value) if is_binary(stored.type) else None
    if stored.read_as == "string":
        # To Java ``$`` stands before a line's end, too.
        return (value != "") & ~value.rlike(rf"^(?:{column.pattern})\z")
    if column.kind in ("flag", "flag text"):
        return ~value.isin(0, 1)
    return outside(_number(value, stored), stored, 0, LARGEST)


def _number(value: Column, stored: StoredColumn) -> Column:
    return F.when(~F.isnan(value), value) if stored.read_as == "double" else value


def _from_parquet(column: RawColumn, stored: StoredColumn | None) -> Column:
    if stored is None:
        return F.lit(None).cast(_SPARK_TYPES[column.kind]).alias(column.name)
    value = F.col(column.name)
    if stored.read_as == "string":
        # An empty text stays one: only of what is no text it says that nothing is known.
        return value.alias(column.name) if column.kind == "text" else _from_text(column, value)
    if column.kind in ("flag", "flag text"):
        return value.cast("boolean").cast(_SPARK_TYPES[column.kind]).alias(column.name)
    if column.kind == "text":
        return value.cast("string").alias(column.name)
    number = value if stored.read_as == "long" else _number(value, stored).try_cast("long")
    return _null_for_none(column, number).alias(column.name)
