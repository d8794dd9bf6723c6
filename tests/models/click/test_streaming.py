"""Training on more rows than the memory given: the same rows, the same model, the same curve, and no more memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.evaluation.classification import classification_metrics
from tandem.models.click.job import ClickJob
from tandem.models.click.keras_task import train_keras_click
from tandem.parameters import DistributedParameters
from tandem.training.score_bins import ScoreBins
from trainings import REPORT, Events, InterruptedJobError, peaks
from wnd_jobs import DEFAULTS, SIZES, columns, write_job

LIMIT_MB = 3.0
PLENTY: dict[str, Any] = {"rows": 40_000, "epochs": 4, "batch_size": 400, "early_stopping": None}
NUMBERS = tuple(f"number_{index}" for index in range(40))
TRAIN = """
import sys
from pathlib import Path
from tandem.training.keras.trainer import keras_threads
keras_threads()
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.click.keras_task import train_keras_click
from tandem.models.click.job import ClickJob
job = ClickJob.model_validate_json(Path(sys.argv[1]).read_text())
trainer = train_keras_click(job, SingleRank(), lambda event: None)
""" + REPORT.format(state="trainer.state")


def train(job: ClickJob, stop_after: int | None = None) -> Any:
    events = Events(stop_after)
    return train_keras_click(job, SingleRank(), events).loop, events


def test_the_loss_curve_is_that_of_the_same_rows_in_memory(tmp_path: Path) -> None:
    inside, _ = train(write_job(tmp_path / "inside", **PLENTY))
    streamed, events = train(write_job(tmp_path / "streamed", memory_limit_mb=LIMIT_MB, **PLENTY))
    assert "Wide & Deep streams 3" in events[0]["message"]
    curves = [trainer.state.history for trainer in (inside, streamed)]
    assert [record["samples"] for record in curves[0]] == [record["samples"] for record in curves[1]]
    for name, tolerance in (("train_loss", 0.02), ("val_log_loss", 0.02), ("val_auc", 0.01)):
        left, right = ([record[name] for record in curve] for curve in curves)
        assert left == pytest.approx(right, abs=tolerance), name
    assert curves[1][-1]["train_loss"] < curves[1][0]["train_loss"] - 0.02, "more than the tolerance is learnt"


def test_what_fits_is_not_streamed_and_stays_bit_equal(tmp_path: Path) -> None:
    inside, _ = train(write_job(tmp_path / "inside", epochs=1))
    roomy, events = train(write_job(tmp_path / "roomy", epochs=1, memory_limit_mb=LIMIT_MB))
    assert not any("streams" in event.get("message", "") for event in events)
    assert all(np.array_equal(a, b) for a, b in zip(inside.weights, roomy.weights, strict=True))


def test_a_resumed_stream_ends_with_the_weights_of_an_uninterrupted_one(tmp_path: Path) -> None:
    settings = PLENTY | {"memory_limit_mb": LIMIT_MB}
    whole, _ = train(write_job(tmp_path / "whole", **settings))
    with pytest.raises(InterruptedJobError):
        train(write_job(tmp_path / "cut", **settings), stop_after=2)
    resumed, events = train(write_job(tmp_path / "cut", resume=True, **settings))
    assert any("resumes after epoch 2" in event.get("message", "") for event in events)
    assert all(np.array_equal(a, b) for a, b in zip(whole.weights, resumed.weights, strict=True))


@pytest.mark.slow
def test_two_ranks_stream_in_step(tmp_path: Path) -> None:
    settings = PLENTY | {"rows": 80_000, "epochs": 2, "memory_limit_mb": LIMIT_MB}
    job = write_job(tmp_path / "streamed", **settings)
    events: list[dict[str, Any]] = []
    launch(
        "wnd_combinations_rank",
        {"jobs": {"streamed": job.model_dump(mode="json")}, "interrupted_after": {}},
        parameters=DistributedParameters(num_ranks=2, cores_per_rank=1, bind=False),
        framework="tensorflow",
        work_dir=tmp_path / "work",
        on_event=events.append,
    )
    first, second = [one for one in events if one.get("name") == "streamed"]
    assert first["digest"] == second["digest"]
    alone, _ = train(write_job(tmp_path / "alone", **settings | {"memory_limit_mb": None}))
    for name, tolerance in (("samples", 0), ("train_loss", 0.02), ("val_log_loss", 0.02), ("val_auc", 0.01)):
        together, one = ([record[name] for record in of] for of in (first["history"], alone.state.history))
        assert together == pytest.approx(one, abs=tolerance), name


def write_wide_job(folder: Path, rows: int, limit_mb: float) -> Path:
    """A job on rows of 184 bytes, in files of five row groups of 2 MB, as Spark writes several."""
    (folder / "train.parquet").mkdir(parents=True)
    part = min(rows, 50_000)
    numbers = np.random.default_rng(0).random((len(NUMBERS), part), np.float32)
    table = pa.table(columns(part) | dict(zip(NUMBERS, numbers, strict=True)))
    for number in range(rows // part):
        file = folder / f"train.parquet/part-{number:05d}.parquet"
        pq.write_table(table, file, row_group_size=10_000, use_dictionary=False, compression="none")
    model = DEFAULTS["model"] | {"continuous": ["age", *NUMBERS]}
    job = ClickJob.model_validate(
        {
            "name": "wnd",
            "parameters": DEFAULTS
            | {"model": model, "epochs": 1, "batch_size": 1_000, "memory_limit_mb": limit_mb, "early_stopping": None},
            "seed": 7,
            "train": folder / "train.parquet",
            "sizes": SIZES,
            "feature_spec_fingerprint": "test",
            "staging": folder / "staging",
            "checkpoints": folder / "checkpoints",
        }
    )
    (folder / "job.json").write_text(job.model_dump_json())
    return folder / "job.json"


@pytest.mark.slow
def test_ten_times_the_limit_trains_inside_it(tmp_path: Path) -> None:
    limit, row_megabytes = 24.0, 184 / 1e6
    few, many = 10_000, 1_350_000
    assert many * row_megabytes > 10 * limit
    jobs = [write_wide_job(tmp_path / str(rows), rows, limit) for rows in (many, few)]
    samples, (needed, framework) = zip(*peaks(TRAIN, jobs), strict=True)
    assert samples == pytest.approx((0.8 * many, 0.8 * few), rel=0.05)
    assert needed - framework < limit


def test_scores_in_bins_rank_as_the_scores_do() -> None:
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 50_000)
    scores = (draws.normal(size=50_000) + labels).astype(np.float32)
    bins = ScoreBins()
    for part in np.array_split(np.arange(50_000), 7):
        bins.add(labels[part], scores[part])
    bins.add_up(SingleRank())
    exact = classification_metrics(labels, 1.0 / (1.0 + np.exp(-scores.astype(np.float64))))
    assert bins.auc() == pytest.approx(exact["auc"], abs=1e-5)
    assert bins.average_precision() == pytest.approx(exact["average_precision"], abs=1e-5)
    equal = ScoreBins()
    equal.add(np.ones(3, np.int32), np.array([-np.inf, 0.0, 100.0]))
    assert equal.auc() is None
    assert equal.average_precision() is None
