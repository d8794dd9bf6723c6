"""Two towers trained by real ranks: every combination that is offered, and the same mathematics on one rank and two."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tandem.artifacts import read_config
from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.two_tower.config import TwoTowerConfig
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.task import TwoTowerTrainer, train_two_tower
from tandem.parameters import DistributedParameters
from trainings import Events, InterruptedJobError
from two_tower_jobs import ITEMS, USERS, write_job

COMBINATIONS = {
    f"{loss} {optimizer} {precision}": {
        "loss": loss,
        "optimizer": optimizer,
        "precision": precision,
        "learning_rate": {"adam": 0.02, "adagrad": 0.2}[optimizer],
    }
    for loss, optimizer, precision in itertools.product(("softmax", "pointwise"), ("adam", "adagrad"), ("fp32", "bf16"))
}
LOSSES = ("softmax adam fp32", "pointwise adam fp32")


def run(folder: Path, ranks: int, names: tuple[str, ...], *, gradients: bool) -> dict[str, list[dict[str, Any]]]:
    """What each rank says of each training; the jobs' folders are below ``folder``."""
    jobs = {name: write_job(folder / name, **({"epochs": 15} | COMBINATIONS[name])) for name in names}
    documents = {name: job.model_dump(mode="json") for name, job in jobs.items()}
    launch(
        "two_tower_ranks",
        {"jobs": documents, "results": str(folder), "gradients": gradients},
        parameters=DistributedParameters(num_ranks=ranks),
        framework="tensorflow",
        work_dir=folder / "work",
    )
    return {name: [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in range(ranks)] for name in names}


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> tuple[Path, dict[str, list[dict[str, Any]]]]:
    folder = tmp_path_factory.mktemp("two")
    return folder, run(folder, 2, tuple(COMBINATIONS), gradients=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMBINATIONS)
def test_every_combination_learns_and_ends_with_the_same_bits_on_both_ranks(two_ranks, name):
    folder, results = two_ranks
    first, second = results[name]
    assert first["weights"] == second["weights"]
    losses = [record["train_loss"] for record in first["history"]]
    assert losses[-1] < losses[0]
    model = folder / name / "staging" / "model"
    assert read_config(model, TwoTowerConfig).calibration.scale > 0.0


@pytest.mark.slow
def test_two_ranks_give_one_ranks_gradient_of_the_same_global_batch(two_ranks, tmp_path):
    """In-batch negatives are those of the global batch, whoever holds them."""
    one = run(tmp_path, 1, LOSSES, gradients=True)
    for name in LOSSES:
        alone, (left, right) = one[name][0]["first"], (rank["first"] for rank in two_ranks[1][name])
        assert left == right
        for expected, found in zip(alone, left, strict=True):
            scale = np.abs(expected).max()
            assert np.allclose(expected, found, atol=1e-4 * scale + 1e-9)
        assert max(np.abs(expected).max() for expected in alone) > 1e-4


@pytest.mark.slow
def test_every_user_and_item_has_one_vector_and_every_test_row_a_probability(two_ranks):
    staging = two_ranks[0] / LOSSES[1] / "staging"
    for side, count in (("user", USERS), ("item", ITEMS)):
        table = pq.read_table(staging / f"{side}_embeddings")
        assert table.schema.names == ["id", "vector"]
        assert len(set(table.column("id").to_pylist())) == table.num_rows == count
        assert np.allclose([np.linalg.norm(one) for one in table.column("vector").to_pylist()], 1.0, atol=1e-5)
    predicted, test = pq.read_table(staging / "test_predictions"), pq.read_table(staging.parent / "test.parquet")
    names = ["user_id", "tweet_id", "label"]
    assert predicted.select(names).to_pylist() == test.select(names).to_pylist()
    probabilities = predicted.column("prediction").to_numpy()
    labels = predicted.column("label").to_numpy()
    assert probabilities[labels == 1].mean() > probabilities[labels == 0].mean()
    assert 0.0 < probabilities.min() < probabilities.max() < 1.0


def train(job: TwoTowerJob, stop_after: int | None = None) -> TwoTowerTrainer:
    """Train in this process; stop_after: interrupt when so many epochs have been reported."""
    trainer = TwoTowerTrainer(job, SingleRank(), Events(stop_after))
    try:
        trainer.fit()
    except InterruptedJobError:
        assert not job.staging.exists()
    return trainer


def weights(trainer: TwoTowerTrainer) -> list[np.ndarray]:
    return [weight.numpy() for weight in trainer.loop.weights]


@pytest.mark.slow
def test_resume_ends_with_the_weights_of_an_uninterrupted_run_and_no_test_row_is_ever_read(tmp_path):
    """The reference fitted its ids on training and test rows together."""
    job = write_job(tmp_path / "whole")
    job.test.unlink()
    whole = train(job)
    train(write_job(tmp_path / "cut"), stop_after=1)
    resumed = train(write_job(tmp_path / "cut", resume=True))
    assert all(np.array_equal(*pair) for pair in zip(weights(whole), weights(resumed), strict=True))
    with pytest.raises(UserError, match=r"two_tower\.batch_size = 200 and this run has 100"):
        train(write_job(tmp_path / "cut", resume=True, batch_size=100))


def test_a_refit_trains_new_towers_on_the_held_out_rows_too(tmp_path):
    job = write_job(tmp_path, epochs=2, refit=True)
    trainer = train(job)
    records = trainer.loop.state.history
    samples = {record["phase"]: record["samples"] for record in records}
    assert samples["refit"] > samples["search"]
    assert len(records) == 2 + trainer.loop.state.best_epoch
    assert trainer.run.validation is None
    assert trainer.towers().scale == trainer.training.state.found["scale"] > 0.0, "of the search's held-out rows"


@pytest.mark.slow
def test_early_stopping_restores_the_best_weights_and_the_learning_rate_is_not_ignored(tmp_path):
    """The reference's trainer had a learning rate of its own, whatever was asked for."""
    stopping = {"metric": "ndcg@100", "patience": 2}
    stopped = train(write_job(tmp_path / "a", epochs=30, learning_rate=0.1, early_stopping=stopping))
    records = stopped.loop.state.history
    best = int(np.argmax([record["val_ndcg@100"] for record in records])) + 1
    assert len(records) == best + 2 < 30
    assert stopped.loop.state.best_epoch == best
    assert {record["learning_rate"] for record in records} == {0.1}
    shorter = train(write_job(tmp_path / "b", epochs=best, learning_rate=0.1, early_stopping=stopping))
    other = train(write_job(tmp_path / "c", epochs=best, learning_rate=0.01, early_stopping=stopping))
    assert all(np.array_equal(*pair) for pair in zip(weights(stopped), weights(shorter), strict=True))
    assert not np.array_equal(weights(shorter)[0], weights(other)[0])


def test_nothing_to_train_on_is_one_line(tmp_path):
    job = write_job(tmp_path)
    rows = pq.read_table(job.train)
    negatives = rows.set_column(rows.schema.get_field_index("label"), "label", [[0] * len(rows)])
    pq.write_table(negatives.cast(rows.schema), job.train)
    with pytest.raises(UserError, match=r"two_tower\.loss: softmax needs training rows with label 1"):
        train_two_tower(job, SingleRank(), lambda event: None)
