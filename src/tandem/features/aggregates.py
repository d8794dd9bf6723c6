"""What groups of rows say about each of their rows: statistics joined back, and differences to the row before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

Statistic = Literal["count", "sum", "mean", "min", "max"]

_STATISTICS = {"count": F.count, "sum": F.sum, "mean": F.mean, "min": F.min, "max": F.max}


@dataclass(frozen=True)
class GroupStatistics:
    """Statistics of groups of training rows.

    Attributes:
        keys: the columns that make a group.
        table: a frame of the keys and one column per statistic; the part that is saved as Parquet.
    """

    keys: tuple[str, ...]
    table: DataFrame

    def apply(self, rows: DataFrame) -> DataFrame:
        """The rows with the statistics of their group; null where training had no such group."""
        return rows.join(self.table, list(self.keys), "left")


def fit_group_statistics(
    train: DataFrame, keys: Sequence[str], statistics: Mapping[str, Sequence[Statistic]]
) -> GroupStatistics:
    """``<column>_<statistic>`` of each group, for the statistics asked for of each column; ``count`` is of values.

    No job of its own. A group needs a value in each of the keys.
    """
    known = train.dropna(subset=list(keys))
    aggregates = [
        _STATISTICS[statistic](column).alias(f"{column}_{statistic}")
        for column, wanted in statistics.items()
        for statistic in wanted
    ]
    return GroupStatistics(tuple(keys), known.groupBy(*keys).agg(*aggregates))


def difference_lag(
    rows: DataFrame, columns: Sequence[str], *, order: Sequence[str], within: Sequence[str] = (), lag: int = 1
) -> DataFrame:
    """The rows with ``<column>_diff_<lag>``: the value minus that of ``lag`` rows before; null without one.

    ``within`` are the columns whose equal values make a sequence. ``order`` should tell any two of its rows apart.
    """
    window = Window.partitionBy(*within).orderBy(*order)

    def difference(name: str) -> Column:
        return F.col(name) - F.lag(name, lag).over(window)

    return rows.withColumns({f"{name}_diff_{lag}": difference(name) for name in columns})
