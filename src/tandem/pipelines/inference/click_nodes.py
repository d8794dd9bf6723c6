"""Nodes of a click model's inference: the trained model applied by Spark, and the report on what it predicted.

Spark, Plotly and what imports them are imported by the nodes that run: listing and drawing the graph needs none of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.storage.locations import Location

if TYPE_CHECKING:
    from plotly.graph_objects import Figure
    from pyspark.sql import DataFrame
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = Figure = Any


def predict_click_test(model: Path, spec: dict[str, Any], test: DataFrame) -> DataFrame:
    """Test rows with ``prediction``, a probability.

    Raises UserError where the model was trained with another feature spec.
    """
    from tandem.artifacts import check_trained_on
    from tandem.models.click.config import ClickConfig
    from tandem.pipelines.inference.click_scoring import with_predictions

    check_trained_on(model, ClickConfig, spec["fingerprint"])
    return with_predictions(test, model)


def report_on(name: str) -> Callable[..., tuple[dict[str, Any], Figure, Figure, Figure]]:
    """The node that reports on the click model of this name."""

    def report_click(
        model: Path,
        predictions: Location,
        train: Location,
        quality: dict[str, Any],
        baselines: dict[str, Any],
        history: list[dict[str, Any]],
        reports: dict[str, dict[str, Any]],
        seed: int,
    ) -> tuple[dict[str, Any], Figure, Figure, Figure]:
        """The metrics of what was predicted, beside the baselines on the same rows, and the charts."""
        from tandem.artifacts import read_config
        from tandem.models.click.config import ClickConfig
        from tandem.models.click.report import EvaluatedModel, beside, charts, click_report, log_report

        evaluated = EvaluatedModel.read(read_config(model, ClickConfig), predictions, train)
        report = click_report(evaluated, quality, baselines, history, seed)
        log_report(evaluated, report, quality, beside(name, report, reports))
        return report, *charts(evaluated, report, history)

    return report_click
