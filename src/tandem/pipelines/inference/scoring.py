"""The trained NCF applied by Spark: predictions and ranked lists, with popularity where the model knows nothing."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.splits import TEST
from tandem.parameters import NCFParameters

# Rows of prior belief in the overall share of positives, for the popularity that answers for the unknown.
PRIOR_ROWS = 10.0

LISTS_SCHEMA = "user_id long, item int, rank int, score double"


def predicted(rows: DataFrame, model: Path) -> DataFrame:
    """Rows with the encoded ``user`` and ``item``, and the model's ``prediction`` for each."""
    folder = model.resolve()

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.training.ncf_scoring import predict_pairs

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


def tested_users(interactions: DataFrame) -> DataFrame:
    """The users with a test interaction: user_id."""
    return interactions.where(F.col("split") == TEST).select("user_id").distinct()


def wanted_users(interactions: DataFrame, users: DataFrame, parameters: NCFParameters) -> DataFrame:
    """The users to recommend to: user_id."""
    if parameters.recommend_users == "all":
        return users.select("user_id").unionByName(interactions.select("user_id")).distinct()
    ids = pa.table({"user_id": pa.array(sorted(set(parameters.recommend_users)), pa.int64())})
    return SparkSession.active().createDataFrame(ids)


def ranked_lists(
    model: Path,
    users: DataFrame,
    interactions: DataFrame,
    user_table: DataFrame,
    item_table: DataFrame,
    length: int,
) -> DataFrame:
    """user_id, item_id, rank, score, source: by the model for known users, by popularity for all others.

    Items of the users' training interactions are left out.
    """
    folder = model.resolve()

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.training.ncf_scoring import rank_items

        return rank_items(batches, folder, length)

    ids = item_table.select("item", "item_id")
    seen = interactions.where(F.col("split") != TEST).join(ids, "item_id").groupBy("user_id")
    known = users.join(user_table.select("user_id", "user"), "user_id")
    asked = known.join(seen.agg(F.collect_list("item").alias("seen")), "user_id").select("user_id", "user", "seen")
    cores = users.sparkSession.sparkContext.defaultParallelism
    ranked = asked.repartition(cores).mapInArrow(rank, LISTS_SCHEMA).join(F.broadcast(ids), "item")
    by_model = ranked.select("user_id", "item_id", "rank", "score", F.lit("model").alias("source"))
    unknown = users.join(user_table.select("user_id"), "user_id", "left_anti")
    by_popularity = unknown.crossJoin(F.broadcast(_popular(item_table, user_table, length)))
    return by_model.unionByName(by_popularity.select("user_id", "item_id", "rank", "score", "source"))


def _popular(item_table: DataFrame, user_table: DataFrame, length: int) -> DataFrame:
    """The most popular items with their share of the training users as score."""
    best = item_table.orderBy(F.desc("popularity"), "item_id").limit(length)
    users = user_table.agg(F.count("*").alias("users"))
    numbered = best.agg(F.sort_array(F.collect_list(F.struct(-F.col("popularity"), "item_id"))).alias("items"))
    exploded = numbered.crossJoin(users).select("users", F.posexplode("items").alias("position", "of"))
    return exploded.select(
        F.col("of.item_id").alias("item_id"),
        (F.col("position") + 1).alias("rank"),
        (-F.col("of.col1") / F.col("users")).alias("score"),
        F.lit("popularity").alias("source"),
    )
