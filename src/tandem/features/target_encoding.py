"""Categories as the mean of the target among their rows, drawn towards the mean of all rows where there are few.

Micci-Barreca 2001 in the form ``(sum + mean * smooth) / (count + smooth)``. A training row is encoded from the other
folds alone: its own target is no part of what a model sees of it.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.draws import seeded_text_hash
from tandem.features.lookups import in_a_table, in_the_feature
from tandem.features.numbers import finite, stable, stable_column
from tandem.features.spec import Table, TargetEncodingFeature


def fit_target_encoding(
    train: DataFrame,
    column: str,
    target: str,
    output: str,
    *,
    table: Table = "pair",
    smooth: float = 20.0,
    path: str | None = None,
) -> tuple[TargetEncodingFeature, DataFrame]:
    """The feature ``output``, and its table: ``value`` (text) and ``number`` of each value of ``column``.

    Rows without a target are left out; two jobs. With a ``path`` the table is to be written there, and the feature
    names it; else its numbers stand in the feature itself. :func:`tandem.features.applying.apply` applies it: a value
    that training did not see, and null, is the mean.
    """
    known = train.where(F.col(target).isNotNull())
    (row,) = known.agg(F.mean(F.col(target).cast("double")).alias("mean")).collect()
    mean = finite(stable(row["mean"] or 0.0), target)
    sums = _sums(known, [F.col(column)], target).where(F.col("value").isNotNull())
    number = stable_column(_smoothed(F.col("sum"), F.col("count"), mean, smooth))
    numbers = sums.select("value", number.alias("number"))
    if path is None:
        place = in_the_feature(((row["value"], row["number"]) for row in numbers.collect()), target)
    else:
        place = in_a_table(numbers, path)
    feature = TargetEncodingFeature(name=output, table=table, column=column, mean=mean, smooth=smooth, **place)
    return feature, numbers


def encode_out_of_fold(
    train: DataFrame,
    column: str,
    target: str,
    output: str,
    *,
    keys: Sequence[str],
    folds: int = 5,
    smooth: float = 20.0,
    seed: int = 0,
) -> DataFrame:
    """Training rows with ``output``: each encoded as if its fold had not been there, its mean included.

    A row's fold follows from the seed and its ``keys``: rows of one key share theirs. Null is the mean, as where it is
    applied.
    """
    hashed = seeded_text_hash(seed, f"target encoding {column}", *(F.col(key) for key in keys))
    rows = train.withColumns({"_value": F.col(column).cast("string"), "_fold": F.pmod(hashed, F.lit(folds))})
    own = _sums(rows, [F.col("_value"), F.col("_fold")], target)
    of_value = own.groupBy("value").agg(F.sum("sum").alias("all_sum"), F.sum("count").alias("all_count"))
    of_fold = own.groupBy("fold").agg(F.sum("sum").alias("fold_sum"), F.sum("count").alias("fold_count"))
    total = own.agg(F.sum("sum").alias("total_sum"), F.sum("count").alias("total_count"))
    means = of_fold.crossJoin(F.broadcast(total)).select(
        "fold",
        F.coalesce(
            F.try_divide(F.col("total_sum") - F.col("fold_sum"), F.col("total_count") - F.col("fold_count")),
            F.lit(0.0),
        ).alias("mean"),
    )
    sums, counts = F.col("all_sum") - F.col("sum"), F.col("all_count") - F.col("count")
    encoded = (
        own.join(of_value, "value", "left")  # null is equal to no value: it has no sums, and so the mean
        .join(F.broadcast(means), "fold")
        .select("value", "fold", _smoothed(sums, counts, F.col("mean"), smooth).alias(output))
    )
    same = (F.col("_value").eqNullSafe(F.col("value"))) & (F.col("_fold") == F.col("fold"))
    return rows.join(encoded, same, "left").select(*train.columns, output)


def _sums(rows: DataFrame, keys: Sequence[Column], target: str) -> DataFrame:
    names = ("value", "fold")[: len(keys)]
    named = [
        key.cast("string").alias("value") if name == "value" else key.alias(name)
        for name, key in zip(names, keys, strict=True)
    ]
    return rows.groupBy(*named).agg(F.sum(F.col(target).cast("double")).alias("sum"), F.count(target).alias("count"))


def _smoothed(sums: Column, counts: Column, mean: float | Column, smooth: float) -> Column:
    prior = F.lit(mean) if isinstance(mean, float) else mean
    return F.coalesce(F.try_divide(sums + prior * F.lit(smooth), counts + F.lit(smooth)), prior)
