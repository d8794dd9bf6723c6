"""Nodes of Wide & Deep's training: the job for the ranks, and the classical models on the same columns.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import json
import shutil
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
    from tandem.distributed.launch.launcher import launch
    from tandem.features.spec import FeatureSpec
    from tandem.models.click.job import WideAndDeepJob, sizes_of_columns
    from tandem.models.click.rows import wide_and_deep_sharing
    from tandem.training.progress import TrainingProgress

    staging = work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    fitted = FeatureSpec.from_json(spec)
    job = WideAndDeepJob(
        parameters=parameters,
        seed=seed,
        train=train.resolve(),
        sizes=sizes_of_columns(parameters, fitted.sizes),
        feature_spec_fingerprint=fitted.fingerprint,
        staging=staging.resolve(),
        checkpoints=checkpoints.resolve(),
    )
    program, sharing = RANKS[parameters.framework], wide_and_deep_sharing(job)
    with TrainingProgress(parameters.title) as progress:
        result = launch(
            program.module,
            job,
            parameters=distributed,
            framework=program.framework,
            work_dir=work,
            on_event=progress,
            sharing=sharing,
        )
    history = json.loads((staging / "history.json").read_text())
    return staging / "model", history, result.ranks, staging / "tensorboard"


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
