"""The trained NCF applied by Spark: predictions and ranked lists, with popularity where the model knows nothing."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.splits import TEST
from tandem.features.vocabulary import UNKNOWN
from tandem.parameters import NCFParameters
from tandem.scoring.ncf import ListRequest

# Rows of prior belief in the overall share of positives, for the popularity that answers for the unknown.
PRIOR_ROWS = 10.0

LISTS_SCHEMA = "user_id long, item_id long, rank int, score double, source string, published boolean"


def predicted(rows: DataFrame, model: Path) -> DataFrame:
    """Rows with the encoded ``user`` and ``item``, and the model's ``prediction`` for each."""
    folder = model.resolve()

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.scoring.ncf import predict_pairs

        return predict_pairs(batches, folder)

    schema = rows.withColumn("prediction", F.lit(0.0)).schema
    return rows.mapInArrow(predict, schema)


def with_fallback(predictions: DataFrame, train: DataFrame) -> DataFrame:
    """Unknown users and items are answered by the item's smoothed share of positives among the training rows.

    ``source`` says who answered: ``model`` or ``popularity``.
    """
    base = train.agg(F.coalesce(F.mean("label"), F.lit(0.0)).alias("base"))
    counts = train.groupBy("item_id").agg(F.sum("label").alias("positives"), F.count("*").alias("rows"))
    known = (F.col("user") > 0) & (F.col("item") > 0)
    positives, rows = F.coalesce("positives", F.lit(0)), F.coalesce("rows", F.lit(0))
    popularity = (positives + F.col("base") * PRIOR_ROWS) / (rows + PRIOR_ROWS)
    joined = predictions.join(F.broadcast(counts), "item_id", "left").crossJoin(F.broadcast(base))
    answered = joined.withColumns(
        {
            "prediction": F.when(known, F.col("prediction")).otherwise(popularity),
            "source": F.when(known, "model").otherwise("popularity"),
        }
    )
    return answered.select(*predictions.columns, "source")


def asked_users(interactions: DataFrame, wanted: DataFrame, user_table: DataFrame, *, only: bool) -> DataFrame:
    """The users to recommend to, and those with test interactions: what ``rank_items`` takes of each.

    wanted: their user_id; only: the others get no lists, as everybody with interactions does otherwise.
    """
    is_test = F.col("split") == TEST
    per_user = interactions.groupBy("user_id").agg(
        F.collect_list(F.when(~is_test, F.col("item_id"))).alias("trained"),
        F.collect_list(F.when(is_test, F.col("item_id"))).alias("tested"),
    )
    joined = wanted.distinct().withColumn("wanted", F.lit(True)).join(per_user, "user_id", "full_outer")
    joined = joined.join(user_table.select("user_id", "user"), "user_id", "left")
    nothing = F.array().cast("array<long>")
    asked = joined.select(
        "user_id",
        F.coalesce("user", F.lit(UNKNOWN)).alias("user"),
        F.coalesce("trained", nothing).alias("trained"),
        F.coalesce("tested", nothing).alias("tested"),
        F.coalesce("wanted", F.lit(not only)).alias("wanted"),
    )
    return asked.where(F.col("wanted") | (F.size("tested") > 0))


def asked_for(parameters: NCFParameters, num_users: int, num_items: int) -> str:
    """What the lists take, for the log before it; num_users: that the model knows."""
    wanted = parameters.recommend_users
    users = f"all users ({num_users:,} known ones)" if wanted == "all" else f"{len(set(wanted)):,} chosen users"
    return f"ranks {num_items:,} items for {users}, and for those who test"


def ranked_lists(asked: DataFrame, request: ListRequest) -> DataFrame:
    """user_id, item_id, rank, score, source, and whether the list is ``published`` or evaluated; asked: those of
    ``asked_users``.
    """

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.scoring.ncf import rank_items

        return rank_items(batches, request)

    cores = asked.sparkSession.sparkContext.defaultParallelism
    return asked.repartition(cores).mapInArrow(rank, LISTS_SCHEMA)
