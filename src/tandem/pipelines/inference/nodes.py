"""Nodes of inference: the trained model applied by Spark, and the report on what it published."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.splits import TEST
from tandem.parameters import NCFParameters

EVALUATED_LENGTH = 10
# Rows of prior belief in the overall share of positives, for the popularity that answers for the unknown.
PRIOR_ROWS = 10.0

LISTS_SCHEMA = "user_id long, item int, rank int, score double"


def predict_ncf_test(
    model: Path, test: DataFrame, candidates: DataFrame, train: DataFrame, parameters: NCFParameters
) -> tuple[DataFrame, DataFrame]:
    """Test rows and, for leave_one_out, the sampled candidates, each with ``prediction``.

    ``source`` says who answered: ``model``, or ``popularity`` for a user or item that no training row knows.
    """
    predictions = _with_fallback(_predicted(test, model), train)
    if parameters.split != "leave_one_out":
        return predictions, candidates.withColumn("prediction", F.lit(None).cast("double"))
    return predictions, _predicted(candidates, model)


def rank_ncf_items(
    model: Path,
    interactions: DataFrame,
    users: DataFrame,
    user_table: DataFrame,
    item_table: DataFrame,
    parameters: NCFParameters,
) -> tuple[DataFrame, DataFrame]:
    """Published lists of the wanted users, and lists of the test users for the report; seen items are left out."""
    tested = interactions.where(F.col("split") == TEST).select("user_id").distinct()
    wanted = _wanted_users(interactions, users, parameters)
    length = max(parameters.top_n, EVALUATED_LENGTH)
    lists = _lists(model, wanted.unionByName(tested).distinct(), interactions, user_table, item_table, length).cache()
    published = lists.where(F.col("rank") <= parameters.top_n).join(wanted, "user_id", "left_semi")
    evaluated = lists.where(F.col("rank") <= EVALUATED_LENGTH).join(tested, "user_id", "left_semi")
    return published.orderBy("user_id", "rank"), evaluated.orderBy("user_id", "rank")


def _predicted(rows: DataFrame, model: Path) -> DataFrame:
    folder = model.resolve()

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.models.ncf_scoring import predict_pairs

        return predict_pairs(batches, folder)

    schema = rows.withColumn("prediction", F.lit(0.0)).schema
    return rows.mapInArrow(predict, schema)


def _with_fallback(predictions: DataFrame, train: DataFrame) -> DataFrame:
    """Unknown users and items are answered by the item's smoothed share of positives among the training rows."""
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


def _wanted_users(interactions: DataFrame, users: DataFrame, parameters: NCFParameters) -> DataFrame:
    if parameters.recommend_users == "all":
        return users.select("user_id").unionByName(interactions.select("user_id")).distinct()
    spark = SparkSession.active()
    ids = pa.table({"user_id": pa.array(sorted(set(parameters.recommend_users)), pa.int64())})
    return spark.createDataFrame(ids)


def _lists(
    model: Path,
    users: DataFrame,
    interactions: DataFrame,
    user_table: DataFrame,
    item_table: DataFrame,
    length: int,
) -> DataFrame:
    """user_id, item_id, rank, score, source: by the model for known users, by popularity for all others."""
    folder = model.resolve()

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.models.ncf_scoring import rank_items

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
