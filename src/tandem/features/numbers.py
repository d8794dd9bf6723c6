"""Numbers: filled, clipped, scaled, put into buckets. NaN is missing as null is, and becomes null where not filled.

Functions of a column learn nothing; the ``fit_*`` functions read training rows once and return features of the spec,
which :func:`tandem.features.applying.apply` applies.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import isfinite
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features.spec import FillFeature, MinMaxFeature, Table, ZScoreFeature

_DIGITS = 12


def fill(rows: DataFrame, values: Mapping[str, float | int | str | bool]) -> DataFrame:
    """The rows with null (and NaN, in columns of floats) replaced by the column's value; the type stays."""
    types = dict(rows.dtypes)
    filled = {
        name: F.coalesce(without_nan(name, types[name]), F.lit(value).cast(types[name]))
        for name, value in values.items()
    }
    return rows.withColumns(filled)


def clip(value: Column, low: float | None = None, high: float | None = None) -> Column:
    """The value, at least ``low`` and at most ``high``; null stays null, NaN becomes it."""
    clipped = value if low is None else F.greatest(value, F.lit(low))
    clipped = clipped if high is None else F.least(clipped, F.lit(high))
    # Spark takes NaN for larger than any number: the upper limit would stand for it.
    return F.when(value.isNotNull() & ~F.isnan(value), clipped)


def log_plus_one(value: Column) -> Column:
    """``log(1 + value)``, double; of a negative value that of 0; null stays null."""
    return F.log1p(clip(value.cast("double"), low=0.0))


def bucketize(value: Column, edges: Sequence[float]) -> Column:
    """Int id 1..len(edges)+1: 1 + the number of ascending ``edges`` that are at most the value; null where missing."""
    reached = [(value >= F.lit(edge)).cast("int") for edge in edges]
    return F.when(~F.isnan(value), reduce(add, reached) + 1)


def scale_min_max(value: Column, low: float, high: float) -> Column:
    """``(value - low) / (high - low)``, clipped to 0..1; 0 where ``low`` is ``high``, null for null and NaN."""
    if high <= low:
        return clip(value, 0.0, 0.0)
    return clip((value - F.lit(low)) / F.lit(high - low), 0.0, 1.0)


def z_score(value: Column, mean: float, deviation: float) -> Column:
    """``(value - mean) / deviation``, double; 0 where the deviation is 0, null for null and NaN."""
    known = F.nanvl(value, F.lit(None))
    return (known - F.lit(mean)) / F.lit(deviation) if deviation > 0.0 else F.when(known.isNotNull(), F.lit(0.0))


def is_missing(column: str) -> Column:
    """True where a column of any type is null, or holds NaN and is one of floats."""
    value = F.col(column)
    return value.isNull() | (F.typeof(value).isin("float", "double") & (value.cast("string") == "NaN"))


def fit_medians(train: DataFrame, columns: Sequence[str], *, table: Table = "pair") -> tuple[FillFeature, ...]:
    """Each column with its median where a value is missing: that of what is neither null nor NaN, 0 without any.

    Of an even number of values it is the mean of the two in the middle. One job.
    """
    types = dict(train.dtypes)
    (row,) = train.agg(*(F.median(without_nan(name, types[name])).alias(name) for name in columns)).collect()
    return tuple(
        FillFeature(name=name, table=table, column=name, value=finite(float(row[name] or 0.0), name))
        for name in columns
    )


def fit_min_max(train: DataFrame, columns: Sequence[str], *, table: Table = "pair") -> tuple[MinMaxFeature, ...]:
    """Each column scaled by the range of its values but NaN, 0 and 0 without any; missing is the mean. One job."""
    found = _aggregated(train, columns, (F.min, F.max, F.mean))
    return tuple(
        MinMaxFeature(name=name, table=table, column=name, min=low, max=high, mean=stable(mean))
        for name, (low, high, mean) in found.items()
    )


def fit_z_scores(train: DataFrame, columns: Sequence[str], *, table: Table = "pair") -> tuple[ZScoreFeature, ...]:
    """The moments of each column's values but NaN, to 12 digits, 0 and 0 where it has none. One job."""
    found = _aggregated(train, columns, (F.mean, F.stddev_pop))
    return tuple(
        ZScoreFeature(name=name, table=table, column=name, mean=stable(mean), deviation=stable(deviation))
        for name, (mean, deviation) in found.items()
    )


def finite(number: float, column: str) -> float:
    """The number; ``UserError`` where it is infinite, or none at all for infinite values."""
    if not isfinite(number):
        raise UserError(f"column {column} has infinite values, on which nothing can be fitted: make them null, or clip")
    return number


def stable(number: float) -> float:
    """The number to 12 significant digits: the last ones of a sum of floats depend on its order."""
    return float(f"{number:.{_DIGITS}g}")


def stable_column(number: Column) -> Column:
    """The same for a column of doubles."""
    return F.format_string(f"%.{_DIGITS - 1}e", number).cast("double")


def without_nan(name: str, type_: str) -> Column:
    """The column of that type (as in ``dtypes``), with null in the place of NaN."""
    return F.nanvl(F.col(name), F.lit(None)) if type_ in ("float", "double") else F.col(name)


def _aggregated(
    train: DataFrame, columns: Sequence[str], functions: Sequence[Callable[[Column], Column]]
) -> dict[str, list[float]]:
    """Column -> the aggregates of what is neither null nor NaN, 0 where there is nothing."""
    types = dict(train.dtypes)
    values = [without_nan(name, types[name]) for name in columns]
    (row,) = train.agg(*(function(value).cast("double") for value in values for function in functions)).collect()
    width = len(functions)
    return {
        name: [finite(float(number or 0.0), name) for number in row[place * width : (place + 1) * width]]
        for place, name in enumerate(columns)
    }
