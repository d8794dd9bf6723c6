"""Nodes of a click model's training: the job for the ranks, and the classical models on the same columns.

Each is made for the model of a name, which is that of its block of parameters too. What takes long to import is
imported by the nodes that run: listing and drawing the graph needs none of it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.parameters import ClickParameters, DistributedParameters
from tandem.storage.locations import Location

RANKS = {
    "tensorflow": RankProgram("tandem.models.click.keras_rank", "tensorflow"),
    "torch": RankProgram("tandem.models.click.torch_rank", "torch"),
}

Outputs = tuple[Path, list[dict[str, Any]], list[dict[str, Any]], Path]
"""The staged model, the history, the binding table, the event files."""


def train(name: str) -> Callable[..., Outputs]:
    """The node that trains the click model of this name."""

    def train_click(
        train: Location,
        spec: dict[str, Any],
        checkpoints: Path,
        work: Path,
        parameters: ClickParameters,
        distributed: DistributedParameters,
        seed: int,
    ) -> Outputs:
        """Train on ranks of their own; returns the staged model, the history, the binding table, the event files."""
        from tandem.features.spec import FeatureSpec
        from tandem.models.click.job import ClickJob
        from tandem.models.click.rows import click_sharing
        from tandem.training.run import TrainingPlan, run_training, staging_of

        fitted = FeatureSpec.from_json(spec)
        job = ClickJob.of(name, fitted, parameters, seed, train, staging_of(work), checkpoints)
        plan = TrainingPlan(RANKS[job.config.framework], job.config.title, click_sharing(job))
        return run_training(plan, job, distributed, work).outputs

    return train_click


def evaluate_baselines(name: str) -> Callable[..., dict[str, Any]]:
    """The node that fits the classical models beside the click model of this name."""

    def evaluate_click_baselines(
        train: Location, test: Location, spec: dict[str, Any], parameters: ClickParameters, seed: int
    ) -> dict[str, Any]:
        """Metrics, settings and seconds of each baseline, fitted on the training rows' columns of the model."""
        from dataclasses import asdict

        from tandem.features.spec import FeatureSpec
        from tandem.models.click.baselines import baselines_of
        from tandem.models.click.job import sizes_of_columns

        sizes = sizes_of_columns(name, parameters, FeatureSpec.from_json(spec).sizes)
        results = baselines_of(name, parameters, sizes, train, test, seed)
        return {baseline: asdict(result) for baseline, result in results.items()}

    return evaluate_click_baselines
