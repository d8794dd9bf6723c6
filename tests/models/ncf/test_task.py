import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from ncf_jobs import DEFAULTS, ITEMS, TEST_ITEM, TEST_USERS, USERS, write_job
from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.network import Calibration, load_ncf
from tandem.models.ncf.streamed_pairs import StreamedInteractions
from tandem.models.ncf.streaming import load_or_stream
from tandem.models.ncf.task import ncf_training, train_ncf
from tandem.parameters import DistributedParameters
from trainings import Events, InterruptedJobError

FRESH: dict[str, Any] = {"negatives": "fresh", "fresh_negatives": 3}
SHARED: dict[str, Any] = {"negatives": "shared", "shared_negatives": 16, "fresh_negatives": 3}
KINDS = {
    "stored bce": {},
    "fresh bce": FRESH,
    "fresh softmax": FRESH | {"loss": "sampled_softmax"},
    "shared bce": SHARED,
    "shared softmax": SHARED | {"loss": "sampled_softmax"},
    "bf16": {"precision": "bf16"},
    "adagrad": {"optimizer": "adagrad", "learning_rate": 0.1},
    "no early stopping": {"early_stopping": None},
    "refit": {"refit": True},
    "publish": {"publish": True},
    "publish after a refit, fresh": FRESH | {"refit": True, "publish": True},
    "publish without early stopping, shared": SHARED | {"early_stopping": None, "publish": True},
}


# Everything but the order of the rows in a global batch is then the same for any number of ranks.
NO_NOISE: dict[str, Any] = {
    "epochs": 6,
    "learning_rate": 0.02,
    "early_stopping": None,
    "unknown_rate": 0.0,
    "model": DEFAULTS["model"] | {"dropout": 0.0},
}


def train(job: NCFJob, stop_after: int | None = None) -> list[dict[str, Any]]:
    """Train in this process; stop_after: interrupt when so many epochs have been reported."""
    events = Events(stop_after)
    train_ncf(job, SingleRank(), events)
    return events


def weights(job: NCFJob, folder: str = "model") -> dict[str, torch.Tensor]:
    return load_file(job.staging / folder / "model.safetensors")


def history(job: NCFJob) -> list[dict[str, Any]]:
    return json.loads((job.staging / "history.json").read_text())


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_falls_and_the_model_ranks_better_than_chance(tmp_path, kind):
    job = write_job(tmp_path, **{"epochs": 12, "learning_rate": 0.03} | KINDS[kind])
    train(job)
    records = history(job)
    assert records[-1]["train_loss"] < records[0]["train_loss"]
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    scores = load_ncf(job.staging / "model").score_all(torch.arange(1, USERS + 1))[:, 1:]
    users, items = np.arange(1, USERS + 1)[:, None], np.arange(1, ITEMS + 1)[None, :]
    liked = torch.from_numpy(users % 2 == items % 2)
    assert scores[liked].mean() > scores[~liked].mean()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_job_ends_with_the_same_weights(tmp_path, kind):
    first, second = (write_job(tmp_path / name, **KINDS[kind]) for name in ("a", "b"))
    train(first)
    train(second)
    assert equal(weights(first), weights(second))
    other = write_job(tmp_path / "c", seed=8, **KINDS[kind])
    train(other)
    assert not equal(weights(first), weights(other))


SEVERAL_PHASES = {kind for kind, settings in KINDS.items() if "refit" in settings or "publish" in settings}
STOPS = [(kind, stop) for kind in KINDS for stop in ((1, 2, 4, 7) if kind in SEVERAL_PHASES else (1, 2, 4))]
"""Epochs after which a run is cut off: of three a phase, so that 4 and 7 lie in the second and the third; behind the
last epoch, a run that is over is resumed."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The whole run of each kind, once."""
    jobs = {}

    def of(kind: str) -> NCFJob:
        if kind not in jobs:
            jobs[kind] = write_job(tmp_path_factory.mktemp("whole"), **{"epochs": 3} | KINDS[kind])
            train(jobs[kind])
        return jobs[kind]

    return of


@pytest.mark.parametrize(("kind", "stop_after"), STOPS)
def test_resume_ends_with_the_weights_of_an_uninterrupted_run(tmp_path, uninterrupted, kind, stop_after):
    whole, cut = uninterrupted(kind), write_job(tmp_path, **{"epochs": 3} | KINDS[kind])
    try:
        train(cut, stop_after)
    except InterruptedJobError:
        assert not (cut.staging / "model").exists()
    resumed = cut.model_copy(update={"parameters": cut.parameters.model_copy(update={"resume": True})})
    train(resumed)
    assert equal(weights(whole), weights(cut))
    if whole.test is not None:
        assert equal(weights(whole, "model/evaluated"), weights(cut, "model/evaluated"))
    fields = ("epoch", "train_loss", "learning_rate", "val_ndcg@10")
    assert [[r.get(f) for f in fields] for r in history(whole)] == [[r.get(f) for f in fields] for r in history(cut)]


def test_resume_without_a_checkpoint_with_other_settings_or_a_damaged_one_is_one_line(tmp_path):
    job = write_job(tmp_path, resume=True)
    with pytest.raises(UserError, match="nothing to resume"):
        train(job)
    train(write_job(tmp_path))
    with pytest.raises(UserError, match=r"ncf\.learning_rate = 0\.01 and this run has 0\.02"):
        train(write_job(tmp_path, resume=True, learning_rate=0.02))
    (job.checkpoints / "latest.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="is damaged"):
        train(job)


def test_resume_with_other_side_features_or_another_feature_spec_is_one_line(tmp_path):
    job = write_job(tmp_path)
    train(job)
    again = write_job(tmp_path, resume=True)
    train(again)
    with pytest.raises(UserError, match="made with feature spec = test and this run has other"):
        train(again.model_copy(update={"feature_spec_fingerprint": "other"}))
    users = pq.read_table(job.user_features).to_pandas()
    users.loc[0, "age"] = 0.5
    users.to_parquet(job.user_features)
    with pytest.raises(UserError, match=r"made with side features = [0-9a-f]{8} and this run has [0-9a-f]{8}"):
        train(again)


def test_early_stopping_restores_the_best_weights(tmp_path):
    job = write_job(tmp_path, epochs=40, learning_rate=0.2, early_stopping={"metric": "ndcg@10", "patience": 2})
    trainer = ncf_training(job, SingleRank(), lambda event: None)
    trainer.fit()
    values = [record["val_ndcg@10"] for record in trainer.state.history]
    best = int(np.argmax(values)) + 1
    assert len(values) == best + 2 < 40
    assert trainer.state.best_epoch == best
    shorter = ncf_training(write_job(tmp_path / "b", epochs=best, learning_rate=0.2), SingleRank(), lambda event: None)
    shorter.fit()
    assert torch.equal(trainer.loop.flat.copy(), shorter.loop.flat.copy())


def test_a_smoothed_metric_is_not_deceived_by_one_lucky_epoch(tmp_path, monkeypatch):
    values = iter([0.1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.4, 0.1, 0.1, 0.1])
    monkeypatch.setattr("tandem.models.ncf.task.validate_ncf", lambda *_: {"ndcg@10": next(values)})
    stopping = {"metric": "ndcg@10", "patience": 3, "smoothing": 3}
    trainer = ncf_training(write_job(tmp_path, epochs=10, early_stopping=stopping), SingleRank(), lambda event: None)
    trainer.fit()
    assert trainer.state.best_epoch == 7, "0.3, 0.4, 0.4, and not the 0.5 of the second"
    assert trainer.state.best_value == pytest.approx((0.3 + 0.4 + 0.4) / 3)
    assert len(trainer.state.history) == 10


def test_a_refit_trains_on_the_held_out_rows_too(tmp_path):
    job = write_job(tmp_path, refit=True)
    events = train(job)
    samples = {event["phase"]: event["samples"] for event in events if event["event"] == "epoch"}
    assert samples["refit"] == pq.read_metadata(job.train).num_rows > samples["search"]


@pytest.mark.parametrize("kind", ["stored bce", "refit", "fresh bce", "shared bce"])
def test_the_published_model_learns_the_test_rows_and_the_evaluated_one_is_the_same_without_it(tmp_path, kind):
    settings = {"epochs": 12, "learning_rate": 0.03} | KINDS[kind]
    without, job = write_job(tmp_path / "a", **settings), write_job(tmp_path / "b", publish=True, **settings)
    train(without)
    events = train(job)
    assert equal(weights(without), weights(job, "model/evaluated"))
    assert not (without.staging / "model" / "evaluated").exists()
    evaluated, published = (load_ncf(job.staging / name) for name in ("model/evaluated", "model"))
    users, items = torch.from_numpy(TEST_USERS), torch.full((len(TEST_USERS),), TEST_ITEM)
    before, after = (model.eval()(users, items).mean() for model in (evaluated, published))
    assert after > before + 0.5
    assert published.config.calibration == evaluated.config.calibration
    searched = history(without)
    assert [record | {"seconds": 0, "samples_per_second": 0} for record in history(job)[: len(searched)]] == [
        record | {"seconds": 0, "samples_per_second": 0} for record in searched
    ]
    added = history(job)[len(searched) :]
    (chosen,) = (record["epoch"] for record in history(job) if record.get("chosen"))
    assert {record["phase"] for record in added} == {"publish"}
    assert len(added) == chosen == sum(e["event"] == "epoch" and e["phase"] == "publish" for e in events)


@pytest.mark.parametrize("memory_limit_mb", [None, 1.0])
def test_test_rows_whose_user_or_item_is_unknown_are_not_learnt(tmp_path, memory_limit_mb):
    job = write_job(tmp_path, publish=True, copies=25, memory_limit_mb=memory_limit_mb)
    rows = load_or_stream(job.on_all_rows(), 0, 1, hold_out=False).training
    assert len(rows) == pq.read_metadata(job.train).num_rows + len(TEST_USERS)
    assert isinstance(rows, StreamedInteractions) == (memory_limit_mb is not None)


def test_a_resumed_run_on_other_test_rows_is_one_line(tmp_path):
    train(write_job(tmp_path, publish=True))
    job = write_job(tmp_path, publish=True, resume=True)
    train(job)
    rows = pq.read_table(job.test).to_pandas()
    rows.loc[0, "item"] = 4
    rows.to_parquet(job.test)
    with pytest.raises(UserError, match="made with data fingerprint = "):
        train(job)


def test_a_checkpoint_is_saved_when_the_last_is_old_enough(tmp_path):
    job = write_job(tmp_path, checkpoint_seconds=3_600.0)
    train(job)
    assert not list(job.checkpoints.glob("*"))


def test_divergence_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"training diverged in epoch 1: lower ncf\.learning_rate"):
        train(write_job(tmp_path, learning_rate=1e30))


def test_more_ranks_than_rows_is_one_line(tmp_path):
    job = write_job(tmp_path)
    few = pq.read_table(job.train).slice(0, 1)
    pq.write_table(few, job.train)

    class SecondOfTwo(SingleRank):
        rank, size = 0, 2

    with pytest.raises(UserError, match=r"rank 0 of 2 has no training rows.*use fewer ranks"):
        ncf_training(job.model_copy(), SecondOfTwo(), lambda event: None)


def test_probabilities_are_calibrated_on_held_out_rows(tmp_path):
    job = write_job(tmp_path, negatives="fresh", fresh_negatives=15, epochs=15, learning_rate=0.03)
    trainer = ncf_training(job, SingleRank(), lambda event: None)
    trainer.fit()
    rows = load_or_stream(job, 0, 1, hold_out=True).validation.rows
    logits = trainer.task.model.eval()(torch.from_numpy(rows.pairs.users), torch.from_numpy(rows.pairs.items)).detach()
    calibration = Calibration.model_validate(trainer.state.found["calibration"])
    raw, calibrated = torch.sigmoid(logits), torch.sigmoid(calibration.scale * logits + calibration.offset)
    share = float(rows.labels.mean())
    assert abs(float(calibrated.mean()) - share) < 1e-3 < abs(float(raw.mean()) - share)


def test_without_stored_negatives_logits_stay_as_they_are(tmp_path):
    """All held-out rows are positives then: their share, 1, would be every probability."""
    job = write_job(tmp_path, negatives="fresh", negatives_per_positive=0)
    table = pq.read_table(job.train)
    pq.write_table(table.filter(pc.equal(table.column("label"), 1)), job.train)
    trainer = ncf_training(job, SingleRank(), lambda event: None)
    trainer.fit()
    assert trainer.state.found == {"calibration": Calibration().model_dump()}


@pytest.mark.slow
def test_two_ranks_end_with_equal_weights_and_the_result_of_one(tmp_path):
    """Stated noise: with the same global batches in another order, final training losses differ by under 2 %."""
    losses = {}
    for ranks in (1, 2):
        job = write_job(tmp_path / str(ranks), **NO_NOISE)
        distributed = DistributedParameters(num_ranks=ranks, cores_per_rank=1)
        events: list[dict[str, Any]] = []
        launch(
            "tandem.models.ncf.rank",
            job,
            parameters=distributed,
            framework="torch",
            work_dir=Path(tmp_path / f"work{ranks}"),
            on_event=events.append,
        )
        losses[ranks] = history(job)[-1]["train_loss"]
    assert losses[1] == pytest.approx(losses[2], rel=0.02)
