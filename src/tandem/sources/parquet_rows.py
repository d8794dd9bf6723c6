"""Reading wanted columns of Parquet files in Spark, and what is wrong with their values, judged before any conversion.

Spark's casts and sums raise where a value does not fit. So nothing here converts a value that was not compared, as it
is stored, with the limits of what it becomes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.parquet_columns import FileGroup, StoredColumn
from tandem.storage.locations import spark_pattern

LARGEST = 2**63 - 1
# What a user's own settings must not switch: files that are passed over, and dates that are shifted.
READ_OPTIONS = {
    "ignoreCorruptFiles": "false",
    "ignoreMissingFiles": "false",
    "datetimeRebaseMode": "CORRECTED",
    "int96RebaseMode": "CORRECTED",
}
_UNITS = {1: "s", 10**3: "ms", 10**6: "us", 10**9: "ns"}


@dataclass(frozen=True)
class Checked:
    """A column of one group of files, ready to be selected.

    Attributes:
        value: as what it was asked for; null where there is none, and where it cannot be.
        bad: where a value is there that cannot be; None where all can. Never null.
        shown: the value that was found, as a text.
    """

    value: Column
    bad: Column | None
    shown: Column


def read_group(spark: SparkSession, group: FileGroup) -> DataFrame:
    """The rows of files that are stored alike: their columns as stored, and ``_file`` and ``_row`` (from 1).

    Read by a schema of those columns alone: whatever else is in the files, Spark never looks at.
    """
    paths = {name: stored.inside or (group.spelt.get(name, name),) for name, stored in group.columns.items()}
    schema = _fields({paths[name]: str(stored.read_as) for name, stored in group.columns.items()})
    rows = spark.read.options(**READ_OPTIONS).schema(schema).parquet(*[spark_pattern(path) for path in group.paths])
    place = (F.col("_metadata.file_path").alias("_file"), (F.col("_metadata.row_index") + 1).alias("_row"))
    return rows.select(*[F.col(".".join(map(_quoted, path))).alias(name) for name, path in paths.items()], *place)


def _fields(types: Mapping[tuple[str, ...], str], between: str = " ") -> str:
    """A schema in Spark's words of columns, and of those inside of structs, by the names that lead to each."""
    inner: dict[str, dict[tuple[str, ...], str]] = {}
    for (first, *others), type_ in types.items():
        inner.setdefault(first, {})[tuple(others)] = type_
    texts = {name: found.get(()) or f"struct<{_fields(found, ': ')}>" for name, found in inner.items()}
    return ", ".join(f"{_quoted(name)}{between}{text}" for name, text in texts.items())


def union(parts: Sequence[DataFrame]) -> DataFrame:
    """All rows of frames with the same columns."""
    return reduce(DataFrame.unionAll, parts)


def whole(value: Column, stored: StoredColumn, least: int, most: int) -> Checked:
    """A whole number from ``least`` to ``most``, both within 64 bits; a float that is no number is none at all."""
    if stored.read_as == "double":
        value = F.when(~F.isnan(value), value)
    bad = outside(value, stored, least, most)
    shown = value.cast("string")
    if stored.read_as == "long":
        return Checked(F.when(~bad, value) if (least, most) != (-LARGEST - 1, LARGEST) else value, bad, shown)
    return Checked(F.when(~bad, value.try_cast("long")), bad, shown)


def seconds(value: Column, stored: StoredColumn, most: int) -> Checked:
    """Whole seconds since 1970 from 0 to ``most``, of a whole number or of a timestamp, which is rounded down."""
    if stored.per_second is None:
        return whole(value, stored, 0, most)
    if stored.read_as == "timestamp":
        value = F.unix_micros(value)
    last = min((most + 1) * stored.per_second - 1, LARGEST)
    bad = outside(value, StoredColumn(stored.type, "long"), 0, last)
    shown = F.concat(value.cast("string"), F.lit(f" {_UNITS[stored.per_second]} since 1970"))
    per_second = F.lit(stored.per_second).cast("long")
    return Checked(F.call_function("div", F.when(~bad, value), per_second), bad, shown)


def number(value: Column, stored: StoredColumn) -> Checked:
    """A finite number as a double."""
    if stored.read_as != "double":
        return Checked(value.cast("double"), None, value.cast("string"))
    value = F.when(~F.isnan(value), value)
    bad = F.coalesce(F.abs(value) == float("inf"), F.lit(False))
    return Checked(F.when(~bad, value), bad, value.cast("string"))


def text(value: Column) -> Checked:
    """A text in UTF-8; an empty one is none."""
    bad = F.coalesce(~F.is_valid_utf8(value), F.lit(False))
    return Checked(F.when(~bad, F.nullif(value, F.lit(""))), bad, F.concat(F.hex(value), F.lit(" (not UTF-8)")))


def texts(value: Column) -> Checked:
    """A list of texts in UTF-8, or of numbers, without empty ones; where there is none, an empty list."""
    value = value.cast("array<string>")
    bad = F.coalesce(F.exists(value, lambda one: F.coalesce(~F.is_valid_utf8(one), F.lit(False))), F.lit(False))
    found = F.hex(F.array_join(value, ", "))
    filled = F.coalesce(F.array_remove(F.array_compact(value), ""), F.array().cast("array<string>"))
    return Checked(filled, bad, F.concat(found, F.lit(" (not UTF-8)")))


def first_problem(checked: Mapping[str, Checked], expected: Mapping[str, str]) -> Column:
    """What is wrong with a row, in words, by its first bad column; null where nothing is."""
    found = [
        F.when(column.bad, F.concat(F.lit(f"column {name}: expected {expected[name]}, found "), column.shown))
        for name, column in checked.items()
        if column.bad is not None
    ]
    return F.coalesce(*found) if found else F.lit(None).cast("string")


def outside(value: Column, stored: StoredColumn, least: int, most: int) -> Column:
    """Whether a number is none from ``least`` to ``most``; false where there is none. Not a comparison of it rounds."""
    if stored.read_as == "double":
        # In doubles the largest long is one more than itself.
        above = value > float(most) if float(most) < 2**53 else value >= float(most)
        return F.coalesce((value < float(least)) | above | (value % 1.0 != 0.0), F.lit(False))
    if stored.read_as == "long":
        sides = [value < least] if least > -LARGEST - 1 else []
        sides += [value > most] if most < LARGEST else []
        return F.coalesce(reduce(Column.__or__, sides), F.lit(False)) if sides else F.lit(False)
    if stored.has_fractions:
        outside = (value.cast("double") < float(least)) | (value.cast("double") > float(most))
        return F.coalesce(outside | (value % 1 != 0), F.lit(False))
    limits = [F.lit(str(limit)).cast("decimal(20,0)") for limit in (least, most)]
    return F.coalesce((value < limits[0]) | (value > limits[1]), F.lit(False))


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
