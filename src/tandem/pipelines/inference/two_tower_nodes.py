"""Nodes that tell how good the two-tower model is.

Faiss, Plotly and what imports them are imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.parameters import TwoTowerParameters
from tandem.storage.locations import Location

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Plotly is not there yet.
    Figure = Any

logger = logging.getLogger(__name__)


def evaluate_two_tower_retrieval(
    index: Path,
    user_embeddings: Path,
    item_embeddings: Path,
    user_features: Location,
    item_features: Location,
    train: Location,
    test: Location,
    parameters: TwoTowerParameters,
    seed: int,
) -> dict[str, Any]:
    """Ranking metrics among all items of model, popularity and random vectors, and what the index misses."""
    from tandem.retrieval.evaluation import RetrievalFiles, evaluate_retrieval
    from tandem.retrieval.index import load_index

    files = RetrievalFiles(user_embeddings, item_embeddings, user_features, item_features, train, test)
    return evaluate_retrieval(files, load_index(index, len(os.sched_getaffinity(0))), parameters, seed)


def report_two_tower(
    predictions: Path,
    retrieval: dict[str, Any],
    train: Location,
    history: list[dict[str, Any]],
    spec: dict[str, Any],
    quality: dict[str, Any],
    parameters: TwoTowerParameters,
    seed: int,
) -> tuple[dict[str, Any], Figure, Figure, Figure]:
    """The metrics of what was published, beside the baselines on the same rows, and the charts."""
    from tandem.batches.shards import read_columns
    from tandem.evaluation.baselines import BaselineResult, classification_baselines
    from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
    from tandem.evaluation.classification import ClassificationSums, classification_metrics
    from tandem.evaluation.facts import described, training_facts
    from tandem.evaluation.report import build_report, table, verdict

    rows = read_columns(predictions, ("user", "tweet", "label", "prediction"))
    trained = read_columns(train, ("tweet", "label"))
    model = classification_metrics(rows["label"], rows["prediction"]) | retrieval["model"]
    simple = classification_baselines(trained["tweet"], trained["label"], rows["tweet"], rows["label"])
    ranking = {name: BaselineResult(retrieval[name], {}, 0.0) for name in ("popularity", "random")}
    facts = training_facts(quality, parameters.model_dump(mode="json"), history, seed) | {
        "train_rows": len(trained["label"]),
        "test_rows": len(rows["label"]),
        "test_positives": int(rows["label"].sum()),
        "test_rows_of_unknown_users": int((rows["user"] == 0).sum()),
        "test_rows_of_unknown_items": int((rows["tweet"] == 0).sum()),
        "batch_size": history[-1].get("batch_size"),
        **retrieval["facts"],
        "best_auc": quality.get("best_auc"),
        "feature_spec_fingerprint": spec["fingerprint"],
    }
    report = build_report(model, simple, ranking, facts)
    data = described(quality, len(trained["label"]) + len(rows["label"]), "rows")
    logger.info("Two-tower on %s test rows of %s\n%s", f"{len(rows['label']):,}", data, table(report, "two-tower"))
    if facts["test_positives"] in (0, facts["test_rows"]):
        logger.warning("All test labels are equal: AUC, average precision and RCE are undefined, and left empty")
    logger.info("%s", verdict(report, "two-tower"))
    return (
        dict(report),
        loss_curves(history, "Two-tower training"),
        comparison(report, "two-tower", "Two-tower against baselines"),
        calibration_curve(ClassificationSums.of(rows["label"], rows["prediction"]), "Two-tower calibration"),
    )
