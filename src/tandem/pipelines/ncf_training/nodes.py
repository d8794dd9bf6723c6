"""Nodes of NCF's training: jobs for the ranks, and the baselines.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from tandem.distributed.job import RankProgram
from tandem.errors import UserError
from tandem.features.spec import BagFeature, FeatureSpec, MinMaxFeature, VocabularyFeature
from tandem.models.ncf.config import SideSizes
from tandem.models.ncf.job import NCFJob
from tandem.parameters import DistributedParameters, NCFParameters
from tandem.storage.locations import Location
from tandem.training.progress import TrainingProgress

MAX_BAG_CELLS = 2**29
"""Of a list of categories as the model holds it, users (or items) x categories, 4 bytes each."""
RANKS = RankProgram("tandem.models.ncf.rank", "torch")


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
    data: str,
    seed: int,
) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]], Path]:
    """Train on ranks of their own; returns the staged model, the history, the binding table, the event files.

    Where the published model learns the test rows too, the one that is evaluated lies in its folder.
    """
    from tandem.distributed.launch.launcher import launch
    from tandem.models.ncf.sharing import ncf_sharing

    staging = work / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    learnt = test if parameters.publishes_all(data) else None
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
    return NCFJob(
        parameters=parameters.model_copy(update={"publish": "evaluated" if test is None else "all"}),
        seed=seed,
        train=train.resolve(),
        test=None if test is None else test.resolve(),
        user_features=user_table.resolve(),
        item_features=item_table.resolve(),
        users=side_sizes(spec, "user"),
        items=side_sizes(spec, "item"),
        feature_spec_fingerprint=spec.fingerprint,
        staging=staging.resolve(),
        checkpoints=checkpoints.resolve(),
    )


def side_sizes(spec: FeatureSpec, table: Literal["user", "item"]) -> SideSizes:
    """How many users (or items) there are, the unknown one included, and what is known of them.

    Raises UserError where the lists of categories are too large for a rank.
    """
    features = spec.side_features(table)
    num_ids = (spec.num_users if table == "user" else spec.num_items) + 1
    for one in features:
        if isinstance(one, BagFeature) and num_ids * one.size > MAX_BAG_CELLS:
            raise UserError(
                f"{table}s: {one.column} has {one.size - 1:,} categories for {num_ids - 1:,} {table}s, a matrix of "
                f"{num_ids * one.size * 4 / 2**30:.1f} GiB in each rank; raise its min_count, or leave it out"
            )
    return SideSizes(
        num_ids=num_ids,
        categorical={f.name: f.size for f in features if isinstance(f, VocabularyFeature)},
        bags={f.name: f.size for f in features if isinstance(f, BagFeature)},
        numeric=tuple(f.name for f in features if isinstance(f, MinMaxFeature)),
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
