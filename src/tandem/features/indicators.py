"""Ids as indicator vectors, for models that want them; a gathered weight per id does the same in less memory."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812


def one_hot(value: Column, size: int) -> Column:
    """array<int> of ``size`` numbers, 1 at position ``value`` (ids from 0, the unknown one) and 0 elsewhere."""
    return F.transform(_positions(size), lambda position: F.coalesce((position == value).cast("int"), F.lit(0)))


def multi_hot(values: Column, size: int) -> Column:
    """The same for an array of ids: 1 at the position of each; all 0 for null and the empty array."""
    return F.transform(
        _positions(size), lambda position: F.coalesce(F.array_contains(values, position).cast("int"), F.lit(0))
    )


def one_hot_columns(rows: DataFrame, column: str, size: int) -> DataFrame:
    """The rows with an int column ``<column>_<id>`` for each id 0..size-1."""
    return rows.withColumns(
        {f"{column}_{number}": F.coalesce((F.col(column) == number).cast("int"), F.lit(0)) for number in range(size)}
    )


def _positions(size: int) -> Column:
    return F.sequence(F.lit(0), F.lit(size - 1))
