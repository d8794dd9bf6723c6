"""``two_tower.batch_size: auto``: by the rows that are trained on, whoever holds them, and told."""

import json
from pathlib import Path

import pytest

from tandem.batches.shards import StepPlan
from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.two_tower.batch_size import LEAST_ROWS, MOST_ROWS, STEPS, batch_of
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.sharing import two_tower_sharing
from tandem.models.two_tower.task import TwoTowerTrainer
from tandem.parameters import DistributedParameters, TwoTowerParameters
from trainings import Events, InterruptedJobError
from two_tower_jobs import write_job


@pytest.mark.parametrize(
    ("rows", "expected"),
    [(1, 64), (6_336, 64), (12_672, 64), (12_673, 128), (36_000, 256), (360_000, 2_048), (10**9, 4_096)],
)
def test_the_largest_power_of_two_that_leaves_an_epoch_a_hundred_steps(rows: int, expected: int) -> None:
    batch = batch_of(TwoTowerParameters(), rows)
    assert batch == expected
    if batch > LEAST_ROWS:
        assert StepPlan.of([rows], batch).steps >= STEPS
    if batch < MOST_ROWS:
        assert StepPlan.of([rows], 2 * batch).steps < STEPS


def test_a_number_is_taken_as_it_is() -> None:
    assert batch_of(TwoTowerParameters(batch_size=1_000), 36_000) == 1_000


def test_it_is_known_before_any_rank_starts(tmp_path: Path) -> None:
    for loss, batch in (("softmax", 64), ("pointwise", 128)):
        job = write_job(tmp_path / loss, copies=12, batch_size="auto", loss=loss)
        (phase,) = two_tower_sharing(job).phases
        assert phase.step_rows == batch
        assert two_tower_sharing(job).most(4) == 4


@pytest.mark.slow
def test_it_follows_the_rows_that_are_trained_on_and_is_told_and_kept(tmp_path: Path) -> None:
    """23,000 rows, three in ten of them positive, which the softmax alone trains on."""
    for loss, batch in (("softmax", 64), ("pointwise", 128)):
        trainer, events = trained(write_job(tmp_path / loss, copies=12, epochs=1, batch_size="auto", loss=loss))
        (record,) = trainer.loop.state.history
        assert record["batch_size"] == batch
        assert record["steps"] == -(-int(record["samples"] or 0) // batch)
        assert events.messages[0] == (
            f"Two-tower trains on batches of {batch} of {record['samples']:,} rows (two_tower.batch_size: auto)"
        )


@pytest.mark.slow
def test_a_resumed_run_has_the_batch_of_the_interrupted_one(tmp_path: Path) -> None:
    with pytest.raises(InterruptedJobError):
        trained(write_job(tmp_path, batch_size="auto"), stop_after=1)
    trainer, _ = trained(write_job(tmp_path, batch_size="auto", resume=True))
    assert [record["batch_size"] for record in trainer.loop.state.history] == [LEAST_ROWS] * 3
    with pytest.raises(UserError, match=r"two_tower\.batch_size = 64 and this run has 32"):
        trained(write_job(tmp_path, batch_size=32, resume=True))


@pytest.mark.slow
def test_two_ranks_take_the_batch_of_one_in_memory_and_streamed(tmp_path: Path) -> None:
    plenty = {"copies": 30, "epochs": 1, "batch_size": "auto", "early_stopping": None}
    jobs = {str(limit): write_job(tmp_path / str(limit), memory_limit_mb=limit, **plenty) for limit in (None, 2.5)}
    alone, _ = trained(jobs["None"])
    launch(
        "two_tower_ranks",
        {
            "jobs": {name: job.model_dump(mode="json") for name, job in jobs.items()},
            "gradients": False,
            "results": str(tmp_path),
        },
        parameters=DistributedParameters(num_ranks=2, cores_per_rank=1, bind=False),
        framework="tensorflow",
        work_dir=tmp_path / "work",
    )
    files = [tmp_path / f"{name}.{rank}.json" for name in jobs for rank in range(2)]
    records = [json.loads(file.read_text())["history"][0] for file in files] + [*alone.loop.state.history]
    assert {(record["batch_size"], record["samples"]) for record in records} == {(128, records[-1]["samples"])}


def trained(job: TwoTowerJob, stop_after: int | None = None) -> tuple[TwoTowerTrainer, Events]:
    events = Events(stop_after)
    trainer = TwoTowerTrainer(job, SingleRank(), events)
    trainer.fit()
    return trainer, events
