"""The report of a click model: its metrics beside the baselines' on the same rows, and what is said of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tandem.batches.shards import read_columns
from tandem.evaluation import Metrics
from tandem.evaluation.baselines import BaselineResult
from tandem.evaluation.charts import calibration_curve, comparison, loss_curves
from tandem.evaluation.classification import ClassificationSums, classification_metrics
from tandem.evaluation.facts import described, training_facts
from tandem.evaluation.report import Report, build_report, of_same_rows, table, verdict
from tandem.models.click import CLICK_MODELS, short_title_of
from tandem.models.click.config import ClickConfig
from tandem.storage.locations import Location

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluatedModel:
    """A trained model and its test rows: labels and probabilities [rows], and the number of its training rows."""

    config: ClickConfig
    labels: npt.NDArray[Any]
    probabilities: npt.NDArray[Any]
    train_rows: int

    @classmethod
    def read(cls, config: ClickConfig, predictions: Location, train: Location) -> "EvaluatedModel":
        """From the folder of the test rows with their predictions, and that of the training rows."""
        rows = read_columns(predictions, ("label", "prediction"))
        return cls(config, rows["label"], rows["prediction"], len(read_columns(train, ("label",))["label"]))

    @property
    def facts(self) -> dict[str, Any]:
        """Which rows the figures are of."""
        return {
            "train_rows": self.train_rows,
            "test_rows": len(self.labels),
            "test_positives": int(self.labels.sum()),
        }


def click_report(
    evaluated: EvaluatedModel,
    quality: Mapping[str, Any],
    baselines: Mapping[str, Mapping[str, Any]],
    history: Sequence[Mapping[str, Any]],
    seed: int,
) -> Report:
    """The content of ``metrics.json``.

    Args:
        evaluated: the model, its predictions and their labels.
        quality: the content of ``data_quality.json``.
        baselines: the content of ``baselines.json``.
        history: the content of ``history.json``.
        seed: of the run.
    """
    settings = evaluated.config.parameters.model_dump(mode="json")
    facts = training_facts(quality, settings, history, seed) | evaluated.facts
    facts |= {
        "best_auc": quality.get("best_auc"),
        "feature_spec_fingerprint": evaluated.config.feature_spec_fingerprint,
    }
    simple = {name: BaselineResult(**result) for name, result in baselines.items()}
    return build_report(classification_metrics(evaluated.labels, evaluated.probabilities), {}, simple, facts)


def beside(name: str, report: Report, reports: Mapping[str, Report]) -> dict[str, Metrics]:
    """The metrics of the other click models that were reported on for the same rows, by their short titles.

    Args:
        name: of the model that the report is of.
        report: its report.
        reports: all that there are, by the name of the model; some may be of models of other families.
    """
    others = {other: reports[other] for other in CLICK_MODELS if other != name and other in reports}
    return {
        short_title_of(other, found["data"]["settings"].get("builder")): found["model"]
        for other, found in others.items()
        if of_same_rows(report, found)
    }


def log_report(
    evaluated: EvaluatedModel, report: Report, quality: Mapping[str, Any], others: Mapping[str, Metrics]
) -> None:
    """Say what came out: a table with a column for each model and baseline, and whether a baseline is better.

    others: metrics of other models on the same rows, by the head of their columns.
    """
    title, facts = evaluated.config.title, evaluated.facts
    data = described(quality, facts["train_rows"] + facts["test_rows"], "rows")
    columns = table(report, evaluated.config.short_title, others)
    logger.info("%s on %s test rows of %s\n%s", title, f"{facts['test_rows']:,}", data, columns)
    if facts["test_positives"] in (0, facts["test_rows"]):
        logger.warning("All test labels are equal: AUC, average precision and RCE are undefined, and left empty")
    logger.info("%s", verdict(report, title))


def charts(evaluated: EvaluatedModel, report: Report, history: Sequence[Mapping[str, Any]]) -> tuple[Any, Any, Any]:
    """Plotly figures: losses by epoch, the model beside the baselines, and how far its probabilities are right."""
    title, sums = evaluated.config.title, ClassificationSums.of(evaluated.labels, evaluated.probabilities)
    return (
        loss_curves(history, f"{title} training"),
        comparison(report, evaluated.config.short_title, f"{title} against baselines"),
        calibration_curve(sums, f"{title} calibration"),
    )
