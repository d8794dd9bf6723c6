"""NCF trained on more stored rows than the memory given: the same rows, the same curve, and no more memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from ncf_jobs import write_job
from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.rows import load_ncf_data
from tandem.models.ncf.streaming import load_or_stream
from tandem.models.ncf.task import ncf_training
from tandem.parameters import DistributedParameters, NCFParameters
from tandem.training.phases import Training
from tandem.training.torch.trainer import TorchTask
from trainings import REPORT, Events, InterruptedJobError, peaks

LIMIT_MB = 2.0
PLENTY: dict[str, Any] = {"copies": 25, "epochs": 4, "batch_size": 500, "learning_rate": 0.01}
TRAIN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.task import ncf_training
job = NCFJob.model_validate_json(Path(sys.argv[1]).read_text())
trainer = ncf_training(job, SingleRank(), lambda event: None)
trainer.fit()
""" + REPORT.format(state="trainer.state")


def train(job: NCFJob, stop_after: int | None = None) -> tuple[Training[TorchTask], list[str]]:
    """The training and its messages; stop_after: interrupt when so many epochs have been reported."""
    events = Events(stop_after)
    trainer = ncf_training(job, SingleRank(), events)
    trainer.fit()
    return trainer, events.messages


@pytest.mark.slow
def test_the_curve_is_that_of_the_same_rows_in_memory(tmp_path: Path) -> None:
    inside, _ = train(write_job(tmp_path / "inside", **PLENTY))
    streamed, messages = train(write_job(tmp_path / "streamed", memory_limit_mb=LIMIT_MB, **PLENTY))
    assert messages[0].startswith("NCF streams ")
    curves = [trainer.state.history for trainer in (inside, streamed)]
    assert [record["samples"] for record in curves[0]] == [record["samples"] for record in curves[1]]
    for name, tolerance in (("train_loss", 0.02), ("val_log_loss", 0.02), ("val_ndcg@10", 0.05)):
        left, right = ([record[name] for record in curve] for curve in curves)
        assert left == pytest.approx(right, abs=tolerance), name
    assert curves[1][-1]["train_loss"] < curves[1][0]["train_loss"] - 0.04, "more than the tolerance is learnt"
    scales = [trainer.state.found["calibration"]["scale"] for trainer in (streamed, inside)]
    assert scales[0] == pytest.approx(scales[1], rel=0.1)


def test_what_is_validated_is_what_is_validated_in_memory(tmp_path: Path) -> None:
    job = write_job(tmp_path, memory_limit_mb=LIMIT_MB, validation_users=20, **PLENTY)
    for rank in range(2):
        inside, streamed = (load(job, rank, 2, hold_out=True) for load in (load_ncf_data, load_or_stream))
        assert len(inside.training) == len(streamed.training)
        left, right = inside.validation, streamed.validation
        assert left is not None
        assert right is not None
        np.testing.assert_array_equal(left.users, right.users)
        for one, other in ((left.seen, right.seen), (left.relevant, right.relevant)):
            assert one.nnz > 0
            assert (one != other).nnz == 0
        pairs, labels = left.rows.pairs, left.rows.labels
        blocks = list(right.rows)
        np.testing.assert_array_equal(pairs.users, np.concatenate([some.users for some, _ in blocks]))
        np.testing.assert_array_equal(pairs.items, np.concatenate([some.items for some, _ in blocks]))
        np.testing.assert_array_equal(labels, np.concatenate([some for _, some in blocks]))
    everything = load_or_stream(job, 0, 1, hold_out=False)
    assert len(everything.training) == pq.read_metadata(job.train).num_rows
    assert everything.validation is None
    assert everything.fingerprint == load_or_stream(job, 0, 1, hold_out=True).fingerprint


@pytest.mark.slow
def test_what_fits_is_not_streamed_and_stays_bit_equal(tmp_path: Path) -> None:
    inside, _ = train(write_job(tmp_path / "inside"))
    roomy, messages = train(write_job(tmp_path / "roomy", memory_limit_mb=LIMIT_MB))
    assert not any("streams" in message for message in messages)
    assert torch.equal(inside.loop.flat.values, roomy.loop.flat.values)


@pytest.mark.slow
def test_a_resumed_stream_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    settings = PLENTY | {"memory_limit_mb": LIMIT_MB}
    whole, _ = train(write_job(tmp_path / "whole", **settings))
    with pytest.raises(InterruptedJobError):
        train(write_job(tmp_path / "cut", **settings), stop_after=2)
    resumed, messages = train(write_job(tmp_path / "cut", resume=True, **settings))
    assert any("resumes after epoch 2" in message for message in messages)
    assert torch.equal(whole.loop.flat.values, resumed.loop.flat.values)


@pytest.mark.slow
def test_a_refit_of_a_stream_is_resumed_too(tmp_path: Path) -> None:
    settings = PLENTY | {"memory_limit_mb": LIMIT_MB, "epochs": 2, "refit": True}
    whole, _ = train(write_job(tmp_path / "whole", **settings))
    with pytest.raises(InterruptedJobError):
        train(write_job(tmp_path / "cut", **settings), stop_after=3)
    resumed, messages = train(write_job(tmp_path / "cut", resume=True, **settings))
    assert any("resumes after epoch 1" in message for message in messages)
    assert resumed.state.phase == "refit"
    assert torch.equal(whole.loop.flat.values, resumed.loop.flat.values)


@pytest.mark.slow
def test_a_stream_that_learns_the_test_rows_is_resumed_in_its_last_phase(tmp_path: Path) -> None:
    settings = PLENTY | {"memory_limit_mb": LIMIT_MB, "epochs": 2, "publish": True}
    whole, _ = train(write_job(tmp_path / "whole", **settings))
    with pytest.raises(InterruptedJobError):
        train(write_job(tmp_path / "cut", **settings), stop_after=3)
    resumed, messages = train(write_job(tmp_path / "cut", resume=True, **settings))
    assert any("resumes after epoch 1" in message for message in messages)
    assert resumed.state.phase == "publish"
    assert torch.equal(whole.loop.flat.values, resumed.loop.flat.values)
    pairs = zip(whole.state.evaluated_weights, resumed.state.evaluated_weights, strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.slow
def test_two_ranks_stream_in_step(tmp_path: Path) -> None:
    curves = []
    for limit in (None, LIMIT_MB / 2):
        job = write_job(tmp_path / str(limit), memory_limit_mb=limit, **PLENTY)
        events: list[dict[str, Any]] = []
        parameters = DistributedParameters(num_ranks=2, cores_per_rank=1, bind=False)
        work = tmp_path / "work"
        module = "tandem.models.ncf.rank"
        launch(module, job, parameters=parameters, framework="torch", work_dir=work, on_event=events.append)
        curves.append([event for event in events if event["event"] == "epoch"])
    for name, tolerance in (("samples", 0), ("train_loss", 0.02), ("val_log_loss", 0.02)):
        left, right = ([record[name] for record in curve] for curve in curves)
        assert left == pytest.approx(right, abs=tolerance), name
    assert curves[0][0]["train_loss"] != curves[1][0]["train_loss"], "another order: it was streamed"


@pytest.mark.parametrize("negatives", ["fresh", "shared"])
def test_negatives_that_are_drawn_need_all_positives_in_memory(negatives: str) -> None:
    with pytest.raises(ValueError, match=f"memory_limit_mb needs negatives: stored, found {negatives}: to draw"):
        NCFParameters(negatives=negatives, memory_limit_mb=100.0)


def write_long_job(folder: Path, rows: int, limit_mb: float, epochs: int) -> Path:
    """A job on rows of 16 bytes, in row groups of 1 MB, a tenth of them held out."""
    job, users, items = write_job(folder), 50_000, 2_000
    rng = np.random.default_rng(0)
    part = min(rows, 500_000)
    with pq.ParquetWriter(job.train, pq.read_schema(job.train), use_dictionary=False, compression="none") as writer:
        for _ in range(rows // part):
            columns = {
                "user": (user := rng.integers(1, users + 1, part)),
                "item": (item := rng.integers(1, items + 1, part)),
                "label": user % 2 == item % 2,
                "validation": rng.random(part) < 0.1,
            }
            table = pa.table({name: column.astype(np.int32) for name, column in columns.items()})
            writer.write_table(table, row_group_size=62_500)
    settings = {"epochs": epochs, "batch_size": 20_000, "memory_limit_mb": limit_mb, "validation_users": 100}
    document = job.model_dump(mode="json")
    document["users"]["num_ids"], document["items"]["num_ids"] = users + 1, items + 1
    document["parameters"] |= settings
    (folder / "job.json").write_text(NCFJob.model_validate(document).model_dump_json())
    return folder / "job.json"


@pytest.mark.slow
def test_ten_times_the_limit_trains_inside_it(tmp_path: Path) -> None:
    limit, row_megabytes = 24.0, 16 / 1e6
    few, many = 100_000, 15_500_000
    assert many * row_megabytes > 10 * limit
    jobs = [write_long_job(tmp_path / "many", many, limit, 1), write_long_job(tmp_path / "few", few, limit, 5)]
    samples, (needed, framework) = zip(*peaks(TRAIN, jobs), strict=True)
    assert samples == pytest.approx((0.9 * many, 0.9 * few), rel=0.05)
    assert needed - framework < limit
