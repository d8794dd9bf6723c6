"""Numbers: filled, clipped, scaled, put into buckets. NaN is missing as null is, and becomes null where not filled.

Functions of a column learn nothing; the ``fit_*`` functions read training rows once and return what they learnt.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.fitted import Fitted, stable


def fill(rows: DataFrame, values: Mapping[str, float | int | str | bool]) -> DataFrame:
    """The rows with null (and NaN, in columns of floats) replaced by the column's value; the type stays."""
    types = dict(rows.dtypes)
    filled = {
        name: F.coalesce(_without_nan(name, types[name]), F.lit(value).cast(types[name]))
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


class Medians(Fitted):
    """The median of columns; of an even number of values the mean of the two in the middle."""

    medians: dict[str, float]

    def apply(self, rows: DataFrame) -> DataFrame:
        """Fill null and NaN with the column's median; the columns become double."""
        types = dict(rows.dtypes)
        doubles = {name: F.col(name).cast("double") for name in self.medians if types[name] != "double"}
        return fill(rows.withColumns(doubles), self.medians)


def fit_medians(train: DataFrame, columns: Sequence[str]) -> Medians:
    """The medians of what is neither null nor NaN; 0 for a column without such a value. One job."""
    types = dict(train.dtypes)
    (row,) = train.agg(*(F.median(_without_nan(name, types[name])).alias(name) for name in columns)).collect()
    return Medians(medians={name: float(row[name] or 0.0) for name in columns})


class MinMax(Fitted):
    """Smallest and largest value of columns."""

    ranges: dict[str, tuple[float, float]]

    def apply(self, rows: DataFrame) -> DataFrame:
        """Scale the columns to 0..1, double; what lies beyond the fitted range is clipped, NaN becomes null."""
        return rows.withColumns(
            {name: scale_min_max(F.col(name).cast("double"), *limits) for name, limits in self.ranges.items()}
        )


def fit_min_max(train: DataFrame, columns: Sequence[str]) -> MinMax:
    """The range of each column's values but NaN, 0 and 0 where it has none. One job."""
    types = dict(train.dtypes)
    values = {name: _without_nan(name, types[name]) for name in columns}
    smallest = [F.min(value).cast("double").alias(f"min_{name}") for name, value in values.items()]
    largest = [F.max(value).cast("double").alias(f"max_{name}") for name, value in values.items()]
    (row,) = train.agg(*smallest, *largest).collect()
    return MinMax(ranges={name: (row[f"min_{name}"] or 0.0, row[f"max_{name}"] or 0.0) for name in columns})


class ZScores(Fitted):
    """Mean and standard deviation (of the population) of columns."""

    moments: dict[str, tuple[float, float]]

    def apply(self, rows: DataFrame) -> DataFrame:
        """``(value - mean) / deviation``, double; 0 where the deviation is 0, NaN becomes null."""
        return rows.withColumns({name: _z_score(name, *moments) for name, moments in self.moments.items()})


def fit_z_scores(train: DataFrame, columns: Sequence[str]) -> ZScores:
    """The moments of each column's values but NaN, to 12 digits, 0 and 0 where it has none. One job."""
    types = dict(train.dtypes)
    values = {name: _without_nan(name, types[name]) for name in columns}
    means = [F.mean(value).alias(f"mean_{name}") for name, value in values.items()]
    deviations = [F.stddev_pop(value).alias(f"deviation_{name}") for name, value in values.items()]
    (row,) = train.agg(*means, *deviations).collect()
    return ZScores(
        moments={
            name: (stable(row[f"mean_{name}"] or 0.0), stable(row[f"deviation_{name}"] or 0.0)) for name in columns
        }
    )


def _z_score(name: str, mean: float, deviation: float) -> Column:
    centred = F.nanvl(F.col(name).cast("double"), F.lit(None)) - F.lit(mean)
    return centred / F.lit(deviation) if deviation > 0.0 else centred * 0.0


def _without_nan(name: str, type_: str) -> Column:
    return F.nanvl(F.col(name), F.lit(None)) if type_ in ("float", "double") else F.col(name)
