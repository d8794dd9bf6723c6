"""Nodes of NCF's training, and of the baselines beside it.

What takes long to import is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.parameters import DistributedParameters, NCFParameters
from tandem.storage.locations import Location

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
    from tandem.features.spec import FeatureSpec
    from tandem.models.ncf.job import NCFJob
    from tandem.models.ncf.sharing import ncf_sharing
    from tandem.training.run import TrainingPlan, run_training, staging_of

    learnt = test if parameters.publishes_all(data) else None
    rows = (train, learnt, user_table, item_table)
    job = NCFJob.of(FeatureSpec.from_json(spec), parameters, seed, *rows, staging_of(work), checkpoints)
    return run_training(TrainingPlan(RANKS, "NCF", ncf_sharing(job)), job, distributed, work).outputs


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
