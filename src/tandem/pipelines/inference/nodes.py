"""Nodes of inference: the trained model applied by Spark, and the report on what it published.

Spark, Plotly and what imports them are imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.parameters import NCFParameters
from tandem.storage.locations import Location

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from pyarrow import Table
    from pyspark.sql import DataFrame
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = Figure = Table = Any

logger = logging.getLogger(__name__)

EVALUATED_LENGTH = 10


def predict_ncf_test(
    model: Path,
    spec: dict[str, Any],
    test: DataFrame,
    candidates: DataFrame,
    train: DataFrame,
    parameters: NCFParameters,
) -> tuple[DataFrame, DataFrame | Table]:
    """Test rows and, for leave_one_out alone, the sampled candidates, each with ``prediction``.

    ``source`` says who answered: ``model``, or ``popularity`` for a user or item that no training row knows. Raises
    UserError where the model was trained on other rows than those of the spec.
    """
    from tandem.models.ncf_scorer import check_trained_on
    from tandem.pipelines.inference.scoring import predicted, with_fallback

    check_trained_on(model, spec["fingerprint"])
    predictions = with_fallback(predicted(test.drop("validation"), model), train)
    if parameters.split != "leave_one_out":
        return predictions, _no_scores()
    return predictions, predicted(candidates, model)


def _no_scores() -> Table:
    import pyarrow as pa

    ids = {"user": pa.int32(), "item": pa.int32(), "user_id": pa.int64(), "item_id": pa.int64()}
    return pa.schema((ids | {"label": pa.int32(), "prediction": pa.float64()}).items()).empty_table()


def rank_ncf_items(
    model: Path,
    spec: dict[str, Any],
    interactions: DataFrame,
    users: DataFrame,
    user_table: DataFrame,
    item_table: DataFrame,
    parameters: NCFParameters,
) -> tuple[DataFrame, DataFrame]:
    """Published lists of the wanted users, and lists of the test users for the report; seen items are left out.

    Raises UserError where the model was trained on other rows than those of the spec.
    """
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.models.ncf_scorer import check_trained_on
    from tandem.pipelines.inference.scoring import ranked_lists, tested_users, wanted_users

    check_trained_on(model, spec["fingerprint"])
    tested, wanted = tested_users(interactions), wanted_users(interactions, users, parameters)
    asked, length = wanted.unionByName(tested).distinct(), max(parameters.top_n, EVALUATED_LENGTH)
    lists = ranked_lists(model, asked, interactions, user_table, item_table, length).cache()
    published = lists.where(F.col("rank") <= parameters.top_n).join(wanted, "user_id", "left_semi")
    evaluated = lists.where(F.col("rank") <= EVALUATED_LENGTH).join(tested, "user_id", "left_semi")
    return published.orderBy("user_id", "rank"), evaluated.orderBy("user_id", "rank")


def report_ncf(
    predictions: Location,
    lists: Location,
    candidates: Location,
    interactions: Location,
    train: Location,
    spec: dict[str, Any],
    baselines: dict[str, Any],
    history: list[dict[str, Any]],
) -> tuple[dict[str, Any], Figure, Figure, Figure]:
    """The metrics of what was published, beside the baselines on the same rows, and the charts."""
    from tandem.batches.shards import read_columns
    from tandem.evaluation.baselines import BaselineResult, classification_baselines
    from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
    from tandem.evaluation.classification import ClassificationSums
    from tandem.evaluation.report import build_report, table, verdict

    rows = read_columns(predictions, ("item_id", "label", "prediction", "source"))
    trained = read_columns(train, ("item_id", "label"))
    model, test_positives = _metrics(rows, lists, candidates, interactions, int(spec["num_items"]))
    simple = classification_baselines(trained["item_id"], trained["label"], rows["item_id"], rows["label"])
    facts = {
        "train_rows": len(trained["label"]),
        "test_rows": len(rows["label"]),
        "test_positives": test_positives,
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


def _metrics(
    rows: dict[str, Any], lists: Location, candidates: Location, interactions: Location, num_items: int
) -> tuple[dict[str, float | None], int]:
    """All metrics of the model, and the number of test positives."""
    from tandem.batches.shards import read_columns
    from tandem.evaluation.classification import classification_metrics
    from tandem.evaluation.lists import Candidates, Lists, Pairs
    from tandem.evaluation.ranking import ranking_metrics, sampled_ranking_metrics

    interacted = read_columns(interactions, ("user_id", "item_id", "split"))
    is_test = interacted["split"] == "test"
    relevant = Pairs(interacted["user_id"][is_test], interacted["item_id"][is_test])
    listed = Lists(*read_columns(lists, ("user_id", "item_id", "rank")).values())
    metrics = classification_metrics(rows["label"], rows["prediction"])
    metrics |= ranking_metrics(listed, relevant, num_items, EVALUATED_LENGTH)
    asked = read_columns(candidates, ("user_id", "item_id", "label", "prediction"))
    if len(asked["label"]):
        *pairs, scores = asked.values()
        metrics |= sampled_ranking_metrics(Candidates(*pairs), scores)
    return metrics, int(is_test.sum())
