"""What groups of rows say about each of their rows: statistics joined back, and differences to the row before."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.lookups import LookupPlace, in_a_table, in_the_feature
from tandem.features.numbers import finite, stable_column, without_nan
from tandem.features.spec import GroupStatisticFeature, Statistic, Table
from tandem.features.vocabulary import key_text

_STATISTICS = {"count": F.count, "sum": F.sum, "mean": F.mean, "min": F.min, "max": F.max}


def fit_group_statistics(
    train: DataFrame,
    keys: Sequence[str],
    statistics: Mapping[str, Sequence[Statistic]],
    *,
    table: Table = "pair",
    folder: str | None = None,
) -> tuple[tuple[GroupStatisticFeature, ...], dict[str, DataFrame]]:
    """``<column>_<statistic>`` of each group, for the statistics asked for of each column, and their tables by name.

    ``count`` is of values. NaN is missing as null is. A group needs a value in each of the keys. A table has ``value``
    (the texts of the keys as one) and ``number``. With a ``folder`` the tables are to be written there, as
    ``<name>.parquet``; else the numbers stand in the features. Two jobs; with a ``folder`` one more per statistic.
    """
    types = dict(train.dtypes)
    wanted = {f"{column}_{of}": (column, of) for column, some in statistics.items() for of in some}
    aggregates = {
        name: stable_column(_STATISTICS[of](without_nan(column, types[column])).cast("double"))
        for name, (column, of) in wanted.items()
    }
    (overall,) = train.agg(*(number.alias(name) for name, number in aggregates.items())).collect()
    grouped = train.groupBy(key_text(keys).alias("value")).agg(*(n.alias(name) for name, n in aggregates.items()))
    tables = {
        name: grouped.select("value", F.col(name).alias("number")).dropna(subset=["value", "number"])
        for name in aggregates
    }
    places = _in_the_features(grouped, wanted) if folder is None else _in_tables(tables, folder)
    features = tuple(
        GroupStatisticFeature(
            name=name,
            table=table,
            keys=tuple(keys),
            column=column,
            statistic=of,
            default=0.0 if of in ("count", "sum") else finite(overall[name] or 0.0, column),
            **places[name],
        )
        for name, (column, of) in wanted.items()
    )
    return features, tables


def _in_the_features(grouped: DataFrame, wanted: Mapping[str, tuple[str, Statistic]]) -> dict[str, LookupPlace]:
    rows = grouped.dropna(subset=["value"]).collect()
    found = {name: [(row["value"], row[name]) for row in rows if row[name] is not None] for name in wanted}
    return {name: in_the_feature(found[name], column) for name, (column, _) in wanted.items()}


def _in_tables(tables: Mapping[str, DataFrame], folder: str) -> dict[str, LookupPlace]:
    return {name: in_a_table(table, f"{folder}/{name}.parquet") for name, table in tables.items()}


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
