"""Nodes of the two-tower model's training: the job for the ranks, and the index over its item vectors.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.parameters import DistributedParameters, TwoTowerParameters
from tandem.storage.locations import Location

RANKS = RankProgram("tandem.models.two_tower.rank", "tensorflow")


def train_two_tower(
    train: Location,
    test: Location,
    user_features: Location,
    item_features: Location,
    spec: dict[str, Any],
    checkpoints: Path,
    work: Path,
    parameters: TwoTowerParameters,
    distributed: DistributedParameters,
    seed: int,
) -> tuple[Path, Path, Path, Path, list[dict[str, Any]], list[dict[str, Any]], Path]:
    """Train on ranks of their own, which then apply the towers to all users, items and test rows.

    Returns the staged model, user vectors, item vectors and test predictions; history, binding table, event files.
    """
    from tandem.features.recsys2021_spec import TWO_TOWER
    from tandem.features.spec import FeatureSpec
    from tandem.models.two_tower.job import TwoTowerJob
    from tandem.models.two_tower.sharing import two_tower_sharing
    from tandem.training.run import TrainingPlan, run_training, staging_of

    fitted, staging = FeatureSpec.from_json(spec), staging_of(work)
    rows = (train, test, user_features, item_features)
    job = TwoTowerJob.of(fitted, TWO_TOWER, parameters, seed, *rows, staging, checkpoints)
    trained = run_training(TrainingPlan(RANKS, "Two-tower", two_tower_sharing(job)), job, distributed, work)
    vectors = (staging / "user_embeddings", staging / "item_embeddings", staging / "test_predictions")
    return trained.model, *vectors, *trained.outputs[1:]


def build_two_tower_index(model: Path, item_embeddings: Path, work: Path, parameters: TwoTowerParameters) -> Path:
    """Index the item vectors; returns the staged index, which knows the model that made them."""
    from tandem.artifacts import read_config
    from tandem.models.two_tower.config import TwoTowerConfig
    from tandem.retrieval.index import build_index, save_index
    from tandem.retrieval.vectors import read_vectors

    staging = work / "index"
    shutil.rmtree(staging, ignore_errors=True)
    ids, vectors = read_vectors(item_embeddings)
    fingerprint, threads = read_config(model, TwoTowerConfig).model_fingerprint, len(os.sched_getaffinity(0))
    save_index(build_index(vectors, ids, parameters.index, fingerprint, threads), staging)
    return staging
