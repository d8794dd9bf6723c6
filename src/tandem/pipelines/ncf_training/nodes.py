"""Nodes of NCF's training: jobs for the ranks, and the baselines.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.features.spec import BagFeature, FeatureSpec, MinMaxFeature, VocabularyFeature
from tandem.parameters import DistributedParameters, NCFParameters
from tandem.storage.locations import Location
from tandem.training.jobs import NCFJob
from tandem.training.progress import TrainingProgress

RANKS = RankProgram("tandem.training.ncf_rank", "torch")


def train_ncf(
    train: Location,
    test: Location,
    user_table: Location,
    item_table: Location,
    spec: dict[str, Any],
    checkpoints: Path,
    work: Path,
    parameters: NCFParameters,
    distributed: DistributedParameters,
    movielens: str,
    seed: int,
) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]], Path]:
    """Train on ranks of their own; returns the staged model, the history, the binding table, the event files.

    Where the published model learns the test rows too, the one that is evaluated lies in its folder.
    """
    from tandem.distributed.launch.launcher import launch
    from tandem.training.ncf_sharing import ncf_sharing

    staging = work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    learnt = test if parameters.publishes_all(movielens) else None
    job = ncf_job(
        FeatureSpec.from_json(spec), parameters, seed, train, learnt, user_table, item_table, staging, checkpoints
    )
    sharing = ncf_sharing(job)
    with TrainingProgress("NCF") as progress:
        result = launch(
            RANKS.module,
            job,
            parameters=distributed,
            framework=RANKS.framework,
            work_dir=work,
            on_event=progress,
            sharing=sharing,
        )
    history = json.loads((staging / "history.json").read_text())
    return staging / "model", history, result.ranks, staging / "tensorboard"


def ncf_job(
    spec: FeatureSpec,
    parameters: NCFParameters,
    seed: int,
    train: Location,
    test: Location | None,
    user_table: Location,
    item_table: Location,
    staging: Path,
    checkpoints: Path,
) -> NCFJob:
    """The job that the ranks get; test: the rows that the published model learns beside those of train, if any."""
    users, items = spec.side_features("user"), spec.side_features("item")
    return NCFJob(
        parameters=parameters.model_copy(update={"publish": "evaluated" if test is None else "all"}),
        seed=seed,
        train=train.resolve(),
        test=None if test is None else test.resolve(),
        user_features=user_table.resolve(),
        item_features=item_table.resolve(),
        user_categorical={f.name: f.size for f in users if isinstance(f, VocabularyFeature)},
        user_numeric=tuple(f.name for f in users if isinstance(f, MinMaxFeature)),
        item_bags={f.name: f.size for f in items if isinstance(f, BagFeature)},
        num_users=spec.num_users + 1,
        num_items=spec.num_items + 1,
        feature_spec_fingerprint=spec.fingerprint,
        staging=staging.resolve(),
        checkpoints=checkpoints.resolve(),
    )


def evaluate_ncf_baselines(
    interactions: Location, candidates: Location, parameters: NCFParameters, seed: int
) -> dict[str, Any]:
    """Metrics, settings and seconds of each baseline, fitted on the training rows and ranked on the test rows."""
    from tandem.batches.shards import read_columns
    from tandem.evaluation.baselines import evaluate_baselines
    from tandem.evaluation.lists import Candidates, Pairs

    rows = read_columns(interactions, ("user_id", "item_id", "split"))
    is_test = rows["split"] == "test"
    asked = read_columns(candidates, ("user_id", "item_id", "label"))
    results = evaluate_baselines(
        Pairs(rows["user_id"][~is_test], rows["item_id"][~is_test]),
        Pairs(rows["user_id"][is_test], rows["item_id"][is_test]),
        Candidates(*asked.values()) if len(asked["label"]) else None,
        parameters.baselines,
        seed=seed,
    )
    return {name: asdict(result) for name, result in results.items()}
