"""Two towers trained on more rows than the memory given: the same rows, the same curve, and no more memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.task import TwoTowerTrainer
from tandem.parameters import DistributedParameters
from trainings import REPORT, Events, InterruptedJobError, peaks
from two_tower_jobs import DEFAULTS, SIZES, write_job

LIMIT_MB = 3.0
PLENTY: dict[str, Any] = {"copies": 12, "epochs": 4, "batch_size": 100, "early_stopping": None}
CURVES = {"train_loss": 0.03, "val_auc": 0.05, "val_recall@100": 0.02}
LEARNT = 2  # epochs, before which a curve falls steeply, and when it does so is left to the order of the rows
NUMBERS = tuple(f"number_{index}" for index in range(40))
TRAIN = """
import sys
from pathlib import Path
from tandem.training.keras.trainer import keras_threads
keras_threads()
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.two_tower.task import TwoTowerTrainer
from tandem.models.two_tower.job import TwoTowerJob
job = TwoTowerJob.model_validate_json(Path(sys.argv[1]).read_text())
trainer = TwoTowerTrainer(job, SingleRank(), lambda event: None)
trainer.fit()
trainer.save()
""" + REPORT.format(state="trainer.loop.state")


def train(job: TwoTowerJob, stop_after: int | None = None) -> tuple[TwoTowerTrainer, list[str]]:
    """The training and its messages; stop_after: interrupt when so many epochs have been reported."""
    events = Events(stop_after)
    trainer = TwoTowerTrainer(job, SingleRank(), events)
    trainer.fit()
    return trainer, events.messages


def weights(trainer: TwoTowerTrainer) -> list[np.ndarray[Any, Any]]:
    return [weight.numpy() for weight in trainer.loop.weights]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["softmax", "pointwise"])
def test_the_curve_is_that_of_the_same_rows_in_memory(tmp_path: Path, loss: str) -> None:
    inside, _ = train(write_job(tmp_path / "inside", loss=loss, **PLENTY))
    streamed, messages = train(write_job(tmp_path / "streamed", loss=loss, memory_limit_mb=LIMIT_MB, **PLENTY))
    assert "Two-tower streams" in messages[0]
    curves = [trainer.loop.state.history for trainer in (inside, streamed)]
    assert [record["samples"] for record in curves[0]] == [record["samples"] for record in curves[1]]
    for name, tolerance in CURVES.items():
        left, right = ([record[name] for record in curve[LEARNT:]] for curve in curves)
        assert left == pytest.approx(right, abs=tolerance), name
    assert curves[1][-1]["train_loss"] < curves[1][0]["train_loss"] - 0.05, "more than the tolerance is learnt"
    assert streamed.towers().scale == pytest.approx(inside.towers().scale, rel=0.2)


@pytest.mark.slow
def test_what_is_validated_is_what_is_validated_in_memory(tmp_path: Path) -> None:
    few = {"validation_users": 20, "validation_items": 15, "epochs": 1}
    inside = TwoTowerTrainer(write_job(tmp_path / "inside", **PLENTY | few), SingleRank(), print).run.validation
    job = write_job(tmp_path / "streamed", memory_limit_mb=LIMIT_MB, **PLENTY | few)
    streamed = TwoTowerTrainer(job, SingleRank(), print).run.validation
    assert inside is not None
    assert streamed is not None
    for name in ("users", "items"):
        left, right = getattr(inside, name), getattr(streamed, name)
        np.testing.assert_array_equal(left.ints, right.ints)
        np.testing.assert_array_equal(left.floats, right.floats)
    for left, right in ((inside.relevant, streamed.relevant), (inside.seen, streamed.seen)):
        pairs = [{*zip(one.users.tolist(), one.items.tolist(), strict=True)} for one in (left, right)]
        assert pairs[0] == pairs[1]
        assert pairs[0]


@pytest.mark.slow
def test_what_fits_is_not_streamed_and_stays_bit_equal(tmp_path: Path) -> None:
    inside, _ = train(write_job(tmp_path / "inside", epochs=1))
    roomy, messages = train(write_job(tmp_path / "roomy", epochs=1, memory_limit_mb=LIMIT_MB))
    assert not any("streams" in message for message in messages)
    assert all(np.array_equal(*pair) for pair in zip(weights(inside), weights(roomy), strict=True))


@pytest.mark.slow
def test_a_resumed_stream_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    settings = PLENTY | {"memory_limit_mb": LIMIT_MB}
    whole, _ = train(write_job(tmp_path / "whole", **settings))
    with pytest.raises(InterruptedJobError):
        train(write_job(tmp_path / "cut", **settings), stop_after=1)
    resumed, messages = train(write_job(tmp_path / "cut", resume=True, **settings))
    assert any("resumes after epoch 1" in message for message in messages)
    assert all(np.array_equal(*pair) for pair in zip(weights(whole), weights(resumed), strict=True))


@pytest.mark.slow
def test_two_ranks_stream_in_step(tmp_path: Path) -> None:
    settings = PLENTY | {"copies": 30, "epochs": 2}
    jobs = {
        str(limit): write_job(tmp_path / str(limit), memory_limit_mb=limit, **settings).model_dump(mode="json")
        for limit in (None, 2.5)
    }
    launch(
        "two_tower_ranks",
        {"jobs": jobs, "gradients": False, "results": str(tmp_path)},
        parameters=DistributedParameters(num_ranks=2, cores_per_rank=1, bind=False),
        framework="tensorflow",
        work_dir=tmp_path / "work",
    )
    ends = {name: [json.loads((tmp_path / f"{name}.{rank}.json").read_text()) for rank in range(2)] for name in jobs}
    assert all(first["weights"] == second["weights"] for first, second in ends.values())
    inside, streamed = (of[0]["history"][-1] for of in ends.values())
    for name, tolerance in CURVES.items():
        assert streamed[name] == pytest.approx(inside[name], abs=tolerance), name
    assert streamed["train_loss"] != inside["train_loss"], "another order: it was streamed"


def write_wide_job(folder: Path, rows: int, loss: str, limit_mb: float, epochs: int = 1) -> Path:
    """A job on rows of 192 bytes, in files of five row groups of 2 MB, as Spark writes several; every third row has an
    item of its own."""
    job, sizes = write_job(folder), SIZES | {"user": 100_001}
    job.train.unlink()
    job.train.mkdir()
    part = min(rows, 50_000)
    rng = np.random.default_rng(0)
    numbers = rng.random((len(NUMBERS), part), np.float32)
    columns = {name: rng.integers(1, size, part).astype(np.int32) for name, size in sizes.items()}
    columns["tweet"][::3] = 0
    columns |= {"user_ratio": numbers[0], "num_links": numbers[1], "label": rng.integers(0, 2, part).astype(np.int32)}
    table = pa.table(columns | dict(zip(NUMBERS, numbers, strict=True)))
    for number in range(rows // part):
        own = pa.array(numbers[0] + number, pa.float32())  # another number makes another item
        rows_of_file = table.set_column(table.schema.get_field_index("num_links"), "num_links", own)
        file = job.train / f"part-{number:05d}.parquet"
        pq.write_table(rows_of_file, file, row_group_size=10_000, use_dictionary=False, compression="none")
    model = DEFAULTS["model"] | {"item": DEFAULTS["model"]["item"] | {"continuous": ["num_links", *NUMBERS]}}
    everything = pq.read_table(job.item_features)
    for name in NUMBERS:
        everything = everything.append_column(name, everything.column("num_links"))
    test = pq.read_table(job.test)
    for name in NUMBERS:
        test = test.append_column(name, test.column("num_links"))
    pq.write_table(everything, job.item_features)
    pq.write_table(test, job.test)
    settings = {"model": model, "loss": loss, "epochs": epochs, "batch_size": 1_000, "memory_limit_mb": limit_mb}
    settings |= {"early_stopping": None, "validation_users": 100, "validation_items": 1_000}
    document = job.model_dump(mode="json") | {"parameters": DEFAULTS | settings, "sizes": sizes}
    (folder / "job.json").write_text(TwoTowerJob.model_validate(document).model_dump_json())
    return folder / "job.json"


@pytest.mark.slow
def test_ten_times_the_limit_trains_inside_it(tmp_path: Path) -> None:
    limit, row_megabytes = 24.0, 192 / 1e6
    few, many = 10_000, 1_300_000
    assert many * row_megabytes > 10 * limit
    jobs = [write_wide_job(tmp_path / loss, many, loss, limit) for loss in ("softmax", "pointwise")]
    # Many steps: the number of a batch's distinct items varies, and oneDNN keeps code for every one that it has met.
    jobs.append(write_wide_job(tmp_path / "few", few, "pointwise", limit, epochs=60))
    samples, (softmax, pointwise, framework) = zip(*peaks(TRAIN, jobs), strict=True)
    assert samples == pytest.approx((0.4 * many, 0.8 * many, 0.8 * few), rel=0.05)
    assert softmax - framework < limit
    assert pointwise - framework < limit
