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
PUBLISHED_ALL = "what makes the lists is one like it, trained on all rows, test rows too (ncf.publish)"


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
    from tandem.artifacts import check_trained_on
    from tandem.models.ncf.config import NeuMFConfig
    from tandem.models.ncf.scorer import evaluated_model
    from tandem.pipelines.inference.scoring import predicted, with_fallback

    check_trained_on(model, NeuMFConfig, spec["fingerprint"])
    model = evaluated_model(model)
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
    items: DataFrame,
    schema: dict[str, Any],
    user_table: DataFrame,
    item_table: Location,
    parameters: NCFParameters,
) -> tuple[DataFrame, DataFrame]:
    """Published lists of the wanted users, without anything that they have, in the ids of the log and with titles; and
    lists of the test users for the report, among everything but what they have in training rows, by the model that is
    evaluated.

    A user gets fewer than ``ncf.top_n`` items where no more are left. Raises UserError where the model was trained on
    other rows than those of the spec, or a wanted user cannot be.
    """
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.artifacts import check_trained_on
    from tandem.models.ncf.config import NeuMFConfig
    from tandem.pipelines.inference.published_ids import in_ids_of_the_log, wanted_users
    from tandem.pipelines.inference.scoring import asked_for, asked_users, ranked_lists
    from tandem.scoring.ncf import ListRequest
    from tandem.scoring.ncf_catalogue import Catalogue
    from tandem.sources.schema import LogSchema

    check_trained_on(model, NeuMFConfig, spec["fingerprint"])
    logger.info("NCF %s", asked_for(parameters, spec["num_users"], spec["num_items"]))
    catalogue = Catalogue.read(item_table, int(spec["num_users"]))
    request = ListRequest(model.resolve(), catalogue, parameters.top_n, EVALUATED_LENGTH)
    wanted = wanted_users(users, LogSchema.from_json(schema), parameters.recommend_users)
    asked = asked_users(interactions, wanted, user_table, only=parameters.recommend_users != "all")
    lists = ranked_lists(asked, request).cache()
    published, evaluated = (lists.where(F.col("published") == part).drop("published") for part in (True, False))
    named = in_ids_of_the_log(published, users, items, LogSchema.from_json(schema))
    return named, evaluated.orderBy("user_id", "rank")


def report_ncf(
    predictions: Location,
    lists: Location,
    candidates: Location,
    interactions: Location,
    train: Location,
    model: Path,
    spec: dict[str, Any],
    quality: dict[str, Any],
    baselines: dict[str, Any],
    history: list[dict[str, Any]],
    parameters: NCFParameters,
    seed: int,
) -> tuple[dict[str, Any], Figure, Figure, Figure]:
    """The metrics of what was predicted, beside the baselines on the same rows, and the charts."""
    from tandem.batches.shards import read_columns
    from tandem.evaluation.baselines import BaselineResult, classification_baselines
    from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
    from tandem.evaluation.classification import ClassificationSums
    from tandem.evaluation.facts import described, training_facts
    from tandem.evaluation.report import build_report, table, verdict
    from tandem.models.ncf.scorer import evaluated_model

    rows = read_columns(predictions, ("item_id", "label", "prediction", "source"))
    trained = read_columns(train, ("item_id", "label"))
    metrics, interacted, test_positives = _metrics(rows, lists, candidates, interactions, int(spec["num_items"]))
    simple = classification_baselines(trained["item_id"], trained["label"], rows["item_id"], rows["label"])
    published = "evaluated" if evaluated_model(model) == model else "all rows"
    facts = training_facts(quality, parameters.model_dump(mode="json"), history, seed, published)
    facts |= {
        "split": parameters.split,
        "train_rows": len(trained["label"]),
        "test_rows": len(rows["label"]),
        "test_positives": test_positives,
        "test_rows_answered_by_popularity": int((rows["source"] == "popularity").sum()),
        "users": spec["num_users"],
        "items": spec["num_items"],
        "feature_spec_fingerprint": spec["fingerprint"],
    }
    ranking = {name: BaselineResult(**result) for name, result in baselines.items()}
    report = build_report(metrics, simple, ranking, facts)
    data = described(quality, interacted, "interactions")
    logger.info("NCF on %s test rows of %s\n%s", f"{len(rows['label']):,}", data, table(report, "NCF"))
    logger.info("%s", verdict(report, "NCF"))
    if published != "evaluated":
        logger.info("These figures are of the NCF that has not seen the test rows; %s", PUBLISHED_ALL)
    return (
        dict(report),
        loss_curves(history, "NCF training"),
        comparison(report, "NCF", "NCF against baselines"),
        calibration_curve(ClassificationSums.of(rows["label"], rows["prediction"]), "NCF calibration"),
    )


def _metrics(
    rows: dict[str, Any], lists: Location, candidates: Location, interactions: Location, num_items: int
) -> tuple[dict[str, float | None], int, int]:
    """All metrics of the model, the number of interactions, and that of those in the test."""
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
    return metrics, len(is_test), int(is_test.sum())
