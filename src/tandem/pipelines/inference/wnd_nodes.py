"""Nodes of Wide & Deep's inference: the trained model applied by Spark, and the report on what it predicted.

Spark, Plotly and what imports them are imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.storage.locations import Location

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from pyspark.sql import DataFrame
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = Figure = Any

logger = logging.getLogger(__name__)


def predict_wnd_test(model: Path, spec: dict[str, Any], test: DataFrame) -> DataFrame:
    """Test rows with ``prediction``, a probability.

    Raises UserError where the model was trained with another feature spec.
    """
    from tandem.artifacts import check_trained_on
    from tandem.models.click.config import ClickConfig
    from tandem.pipelines.inference.wnd_scoring import with_predictions

    check_trained_on(model, ClickConfig, spec["fingerprint"])
    return with_predictions(test, model)


def report_wnd(
    model: Path,
    predictions: Location,
    train: Location,
    spec: dict[str, Any],
    quality: dict[str, Any],
    baselines: dict[str, Any],
    history: list[dict[str, Any]],
    seed: int,
) -> tuple[dict[str, Any], Figure, Figure, Figure]:
    """The metrics of what was predicted, beside the baselines on the same rows, and the charts."""
    from tandem.artifacts import read_config
    from tandem.batches.shards import read_columns
    from tandem.evaluation.baselines import BaselineResult
    from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
    from tandem.evaluation.classification import ClassificationSums, classification_metrics
    from tandem.evaluation.facts import described, training_facts
    from tandem.evaluation.report import build_report, table, verdict
    from tandem.models.click.config import ClickConfig

    trained_with = read_config(model, ClickConfig).parameters
    title, short_title = trained_with.title, trained_with.short_title
    rows = read_columns(predictions, ("label", "prediction"))
    trained = read_columns(train, ("label",))
    simple = {name: BaselineResult(**result) for name, result in baselines.items()}
    facts = training_facts(quality, trained_with.model_dump(mode="json"), history, seed) | {
        "train_rows": len(trained["label"]),
        "test_rows": len(rows["label"]),
        "test_positives": int(rows["label"].sum()),
        "best_auc": quality.get("best_auc"),
        "feature_spec_fingerprint": spec["fingerprint"],
    }
    report = build_report(classification_metrics(rows["label"], rows["prediction"]), {}, simple, facts)
    data = described(quality, len(trained["label"]) + len(rows["label"]), "rows")
    logger.info("%s on %s test rows of %s\n%s", title, f"{len(rows['label']):,}", data, table(report, short_title))
    if facts["test_positives"] in (0, facts["test_rows"]):
        logger.warning("All test labels are equal: AUC, average precision and RCE are undefined, and left empty")
    logger.info("%s", verdict(report, title))
    return (
        dict(report),
        loss_curves(history, f"{title} training"),
        comparison(report, short_title, f"{title} against baselines"),
        calibration_curve(ClassificationSums.of(rows["label"], rows["prediction"]), f"{title} calibration"),
    )
