"""Nodes of inference: the trained model applied by Spark, and the report on what it published."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.batches.shards import read_columns
from tandem.evaluation.baselines import BaselineResult, classification_baselines
from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
from tandem.evaluation.classification import ClassificationSums, classification_metrics
from tandem.evaluation.lists import Candidates, Lists, Pairs
from tandem.evaluation.ranking import ranking_metrics, sampled_ranking_metrics
from tandem.evaluation.report import build_report, table, verdict
from tandem.features.splits import TEST
from tandem.parameters import NCFParameters

logger = logging.getLogger(__name__)

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


def report_ncf(
    predictions: Path,
    lists: Path,
    candidates: Path,
    interactions: Path,
    train: Path,
    spec: dict[str, Any],
    baselines: dict[str, Any],
    history: list[dict[str, Any]],
) -> tuple[dict[str, Any], go.Figure, go.Figure, go.Figure]:
    """The metrics of what was published, beside the baselines on the same rows, and the charts."""
    tested = read_columns(interactions, ("user_id", "item_id", "split"))
    is_test = tested["split"] == TEST
    rows = read_columns(predictions, ("item_id", "label", "prediction", "source"))
    listed = Lists(*read_columns(lists, ("user_id", "item_id", "rank")).values())
    relevant = Pairs(tested["user_id"][is_test], tested["item_id"][is_test])
    model = classification_metrics(rows["label"], rows["prediction"])
    model |= ranking_metrics(listed, relevant, int(spec["num_items"]), EVALUATED_LENGTH)
    asked = read_columns(candidates, ("user_id", "item_id", "label", "prediction"))
    if len(asked["label"]):
        *pairs, scores = asked.values()
        model |= sampled_ranking_metrics(Candidates(*pairs), scores)
    trained = read_columns(train, ("item_id", "label"))
    simple = classification_baselines(trained["item_id"], trained["label"], rows["item_id"], rows["label"])
    facts = {
        "train_rows": len(trained["label"]),
        "test_rows": len(rows["label"]),
        "test_positives": int(is_test.sum()),
        "test_rows_answered_by_popularity": int((rows["source"] == "popularity").sum()),
        "users": spec["num_users"],
        "items": spec["num_items"],
        "feature_spec_fingerprint": spec["fingerprint"],
    }
    ranking = {name: BaselineResult(**result) for name, result in baselines.items()}
    report = build_report(model, simple, ranking, facts)
    logger.info("NCF on %s test rows\n%s", f"{len(rows['label']):,}", table(report, "NCF"))
    logger.info("%s", verdict(report, "NCF"))
    return (
        dict(report),
        loss_curves(history, "NCF training"),
        comparison(report, "NCF", "NCF against baselines"),
        calibration_curve(ClassificationSums.of(rows["label"], rows["prediction"]), "NCF calibration"),
    )


def _predicted(rows: DataFrame, model: Path) -> DataFrame:
    folder = model.resolve()

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.training.ncf_scoring import predict_pairs

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
