"""Nodes of Wide & Deep's training: the job for the ranks, and the classical models on the same columns.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.parameters import DistributedParameters, WideAndDeepParameters
from tandem.storage.locations import Location

RANKS = {
    "tensorflow": RankProgram("tandem.models.click.keras_rank", "tensorflow"),
    "torch": RankProgram("tandem.models.click.torch_rank", "torch"),
}


def train_wnd(
    train: Location,
    spec: dict[str, Any],
    checkpoints: Path,
    work: Path,
    parameters: WideAndDeepParameters,
    distributed: DistributedParameters,
    seed: int,
) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]], Path]:
    """Train on ranks of their own; returns the staged model, the history, the binding table, the event files."""
    from tandem.features.spec import FeatureSpec
    from tandem.models.click.job import WideAndDeepJob
    from tandem.models.click.rows import wide_and_deep_sharing
    from tandem.training.run import TrainingPlan, run_training, staging_of

    job = WideAndDeepJob.of(FeatureSpec.from_json(spec), parameters, seed, train, staging_of(work), checkpoints)
    plan = TrainingPlan(RANKS[parameters.framework], parameters.title, wide_and_deep_sharing(job))
    return run_training(plan, job, distributed, work).outputs


def evaluate_wnd_baselines(
    train: Location, test: Location, spec: dict[str, Any], parameters: WideAndDeepParameters, seed: int
) -> dict[str, Any]:
    """Metrics, settings and seconds of each baseline, fitted on the training rows' columns of the model."""
    from dataclasses import asdict

    from tandem.batches.columns import LABEL, read_column_rows
    from tandem.evaluation.click_baselines import evaluate_click_baselines
    from tandem.features.spec import FeatureSpec
    from tandem.models.click.job import sizes_of_columns

    sizes = sizes_of_columns(parameters, FeatureSpec.from_json(spec).sizes)
    columns = ((*sizes, LABEL), parameters.model.continuous)
    fitted, asked = read_column_rows(train, *columns), read_column_rows(test, *columns)
    results = evaluate_click_baselines(
        (fitted.ints[:, :-1], fitted.floats, fitted.column(LABEL)),
        (asked.ints[:, :-1], asked.floats, asked.column(LABEL)),
        tuple(sizes.values()),
        parameters.baselines,
        seed=seed,
    )
    return {name: asdict(result) for name, result in results.items()}
