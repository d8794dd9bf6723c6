"""Wide & Deep trained in this process, on one rank."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.click.job import ClickJob, sizes_of_columns
from tandem.models.click.keras_task import train_keras_click
from tandem.models.click.wide_and_deep import build_wide_and_deep
from tandem.scoring.click_keras import KerasClickScorer
from trainings import Events, InterruptedJobError
from wnd_jobs import DEFAULTS, SIZES, appended_predictions, columns, write_job


def train(job: ClickJob, stop_after: int | None = None) -> Any:
    """Train in this process; stop_after: interrupt when so many epochs have been reported."""
    events = Events(stop_after)
    return train_keras_click(job, SingleRank(), events).loop, events


def weights(trainer: Any) -> list[np.ndarray[Any, Any]]:
    return [weight.numpy() for weight in trainer.weights]


def equal(left: list[Any], right: list[Any]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("kind", [{}, {"optimizer": "adagrad", "learning_rate": 0.1}, {"precision": "bf16"}], ids=str)
def test_the_model_learns_and_publishes_what_it_learnt(tmp_path: Path, kind: dict[str, Any]) -> None:
    job = write_job(tmp_path, rows=3000, epochs=6, **kind)
    trainer, events = train(job)
    history = json.loads((job.staging / "history.json").read_text())
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert max(record["val_auc"] for record in history) > 0.65
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == list(range(1, len(history) + 1))
    assert list((job.staging / "tensorboard").iterdir())

    scorer = KerasClickScorer(job.staging / "model")
    rows = columns(50, seed=1)
    inputs = {name: tf.constant(values) for name, values in rows.items() if name != "label"}
    logits = trainer.task.model(inputs, training=False).numpy()[:, 0]
    tolerance = 0.02 if kind.get("precision") == "bf16" else 1e-6
    np.testing.assert_allclose(scorer.probabilities(rows), 1.0 / (1.0 + np.exp(-logits)), atol=tolerance)
    assert {layer.dtype_policy.name for layer in scorer.model.layers} == {"float32"}


def test_a_refit_trains_a_new_model_on_the_held_out_rows_too_and_is_resumed(tmp_path: Path) -> None:
    whole, events = train(write_job(tmp_path / "whole", refit=True))
    samples = {event["phase"]: event["samples"] for event in events if event["event"] == "epoch"}
    assert samples["refit"] == 1000 > samples["search"]
    best = whole.state.best_epoch
    assert [record["phase"] for record in whole.state.history] == ["search"] * 3 + ["refit"] * best
    job = write_job(tmp_path / "cut", refit=True)
    with pytest.raises(InterruptedJobError):
        train(job, stop_after=4)
    resumed, _ = train(write_job(tmp_path / "cut", refit=True, resume=True))
    assert equal(weights(whole), weights(resumed))
    searched, _ = train(write_job(tmp_path / "search"))
    assert not equal(weights(whole), weights(searched))


def test_a_smoothed_metric_decides_which_epoch_is_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = iter([0.5, 0.9, 0.5, 0.6, 0.7, 0.8, 0.8, 0.5, 0.5, 0.5])
    monkeypatch.setattr("tandem.models.click.keras_task.click_metrics", lambda *_: {"auc": next(values)})
    stopping = {"metric": "auc", "patience": 3, "smoothing": 3}
    trainer, _ = train(write_job(tmp_path, rows=200, epochs=10, early_stopping=stopping))
    assert (trainer.state.best_epoch, len(trainer.state.history)) == (7, 10)


def test_the_same_job_ends_with_the_same_weights(tmp_path: Path) -> None:
    first, second = (train(write_job(tmp_path / name, epochs=1))[0] for name in ("a", "b"))
    assert equal(weights(first), weights(second))
    other, _ = train(write_job(tmp_path / "c", epochs=1, seed=8))
    assert not equal(weights(first), weights(other))


@pytest.mark.parametrize("kind", [{}, {"optimizer": "adagrad"}], ids=str)
def test_resume_ends_with_the_weights_of_an_uninterrupted_run(tmp_path: Path, kind: dict[str, Any]) -> None:
    whole, _ = train(write_job(tmp_path / "whole", **kind))
    cut = write_job(tmp_path / "cut", **kind)
    with pytest.raises(InterruptedJobError):
        train(cut, stop_after=2)
    assert not (cut.staging / "model").exists()
    resumed, events = train(write_job(tmp_path / "cut", resume=True, **kind))
    assert "resumes after epoch 2" in events[0]["message"]
    assert equal(weights(whole), weights(resumed))
    fields = ("epoch", "train_loss", "val_auc")
    left, right = ([[r[f] for f in fields] for r in t.state.history] for t in (whole, resumed))
    assert left == right


def test_resume_with_other_settings_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        train(write_job(tmp_path, resume=True))
    train(write_job(tmp_path, epochs=1))
    with pytest.raises(UserError, match=r"wnd\.learning_rate = 0\.02 and this run has 0\.03"):
        train(write_job(tmp_path, epochs=1, resume=True, learning_rate=0.03))


def test_early_stopping_restores_the_best_weights(tmp_path: Path) -> None:
    job = write_job(tmp_path, epochs=30, learning_rate=0.1, early_stopping={"metric": "auc", "patience": 2})
    trainer, _ = train(job)
    values = [record["val_auc"] for record in trainer.state.history]
    best = int(np.argmax(values)) + 1
    assert len(values) == best + 2 < 30
    again = trainer.task.validate()
    assert again["auc"] == values[best - 1]


def test_validation_rows_are_not_trained_on(tmp_path: Path) -> None:
    trainer, events = train(write_job(tmp_path, epochs=1))
    samples = next(event["samples"] for event in events if event["event"] == "epoch")
    assert samples == len(trainer.task.rows) < 1000


def test_equal_labels_are_told_and_do_not_crash(tmp_path: Path) -> None:
    job = write_job(tmp_path, epochs=2)
    rows = pq.read_table(job.train).to_pydict() | {"label": [1] * 1000}
    pq.write_table(
        pa.table({n: pa.array(v, pa.float32() if n == "age" else pa.int32()) for n, v in rows.items()}), job.train
    )
    trainer, events = train(job)
    assert trainer.state.history[-1]["val_auc"] is None
    assert any("auc is undefined on the held-out rows" in event.get("message", "") for event in events)
    assert len(trainer.state.history) == 2


def test_divergence_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training diverged in epoch \d: lower wnd\.learning_rate"):
        train(write_job(tmp_path, optimizer="adagrad", learning_rate=1e38))


def test_a_batch_larger_than_the_data_is_one_step(tmp_path: Path) -> None:
    trainer, _ = train(write_job(tmp_path, epochs=1, batch_size=100_000))
    assert trainer.plan.steps == 1


def test_an_unknown_column_is_one_line() -> None:
    parameters = ClickJob.model_fields["parameters"].annotation.model_validate(DEFAULTS)
    with pytest.raises(UserError, match=r"the rows have no id column user; did you mean users\?"):
        sizes_of_columns("wnd", parameters, {"users": 3, "author": 3, "media": 3, "media_x_author": 3})


def test_predictions_are_appended_to_arrow_batches(tmp_path: Path) -> None:
    job = write_job(tmp_path, epochs=1)
    train(job)
    predictions = appended_predictions(job.staging / "model")
    assert 0.0 < min(predictions) < max(predictions) < 1.0


def test_warm_up_and_schedule_are_followed(tmp_path: Path) -> None:
    job = write_job(tmp_path, epochs=3, learning_rate_schedule="linear", warmup_epochs=1.0, early_stopping=None)
    trainer, _ = train(job)
    assert [record["learning_rate"] for record in trainer.state.history] == pytest.approx([0.02, 0.01, 0.0])


def build_small(sizes: dict[str, int], continuous: tuple[str, ...], width: int = 4) -> keras.Model:
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in sizes}
    inputs |= {name: keras.Input((), dtype="float32", name=name) for name in continuous}
    rows = [keras.layers.Embedding(size, width)(inputs[name]) for name, size in sizes.items()]
    hidden = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(keras.layers.Concatenate()(rows)))
    return keras.Model(inputs, keras.layers.Dense(1)(hidden))


def build_wrong_shape(sizes: dict[str, int], continuous: tuple[str, ...]) -> keras.Model:
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in sizes}
    inputs |= {name: keras.Input((), dtype="float32", name=name) for name in continuous}
    return keras.Model(inputs, keras.layers.Embedding(SIZES["user"], 3)(inputs["user"]))


def build_nothing(sizes: dict[str, int], continuous: tuple[str, ...]) -> str:
    return "no model"


def build_raising(sizes: dict[str, int], continuous: tuple[str, ...]) -> keras.Model:
    raise ValueError("two lines\nof reasons")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_of_ones_own_is_trained_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "small_model", __import__("sys").modules[__name__])
    job = write_job(
        tmp_path,
        rows=3000,
        epochs=4,
        builder="small_model.build_small",
        builder_options={"width": 6},
        precision=precision,
    )
    trainer, _ = train(job)
    history = trainer.state.history
    assert history[-1]["val_auc"] > 0.6
    assert KerasClickScorer(job.staging / "model").probabilities(columns(7)).shape == (7,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build_raising", r"wnd\.builder: small_model\.build_raising raised ValueError: two lines$"),
        ("build_nothing", r"small_model\.build_nothing returned str, expected a keras\.Model$"),
        ("build_wrong_shape", r"returns shape \(2, 3\) for 2 rows, expected logits of shape \(2, 1\)$"),
        ("missing", r"wnd\.builder: .* has no function missing$"),
    ],
)
def test_a_builder_that_does_not_build_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "small_model", __import__("sys").modules[__name__])
    with pytest.raises(UserError, match=message):
        train(write_job(tmp_path, builder=f"small_model.{name}"))


def test_the_reference_architecture_has_the_parameters_it_should() -> None:
    parameters = write_parameters(hidden_units=[1024, 1024], embedding_dim=8)
    model = build_wide_and_deep(SIZES, parameters)
    inputs = 2 * 8 + SIZES["media"] + 1
    tables = 8 * (SIZES["user"] + SIZES["author"]) + SIZES["author"] + SIZES["media_x_author"]
    normalisations = 2 * (4 * 1024 + 1)  # scale, offset, moving mean and variance, and a count of steps
    assert model.count_params() == tables + inputs * 1024 + 1024 * 1024 + normalisations + 1024 + 1


def write_parameters(**model: Any) -> Any:
    from tandem.parameters import ClickParameters

    return ClickParameters.model_validate(DEFAULTS | {"model": DEFAULTS["model"] | model}).model
