"""DeepFM against the formula of the paper, and trained in this process, on one rank."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from tandem.artifacts import check_trained_on, write_config
from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.click.config import ClickConfig
from tandem.models.click.deepfm import PairwiseProducts, build_deepfm
from tandem.models.click.job import ClickJob, sizes_of_columns
from tandem.models.click.keras_task import train_keras_click
from tandem.parameters import ClickParameters
from tandem.scoring.click import load_scorer
from tandem.training.keras.row_updates import AdamRows
from trainings import Events, InterruptedJobError
from wnd_jobs import DEFAULTS, SIZES, appended_predictions, columns, write_job

# As in the paper: every column has a weight and an embedding, and none is crossed. One is one-hot beside them here.
COLUMNS: dict[str, Any] = DEFAULTS["model"] | {
    "wide_base": ["user", "author", "media"],
    "wide_cross": [],
    "indicators": ["media"],
    "embeddings": ["user", "author", "media"],
}


def model_parameters(**changes: Any) -> Any:
    return ClickParameters.model_validate(DEFAULTS | {"model": COLUMNS | changes}).model


def job_of(folder: Path, **parameters: Any) -> ClickJob:
    return write_job(folder, name="deepfm", **({"model": COLUMNS} | parameters))


def train(job: ClickJob, stop_after: int | None = None) -> tuple[Any, Events]:
    events = Events(stop_after)
    return train_keras_click(job, SingleRank(), events).loop, events


def with_drawn_weights(model: keras.Model) -> dict[str, npt.NDArray[np.float64]]:
    """Set every weight to a drawn value (none is zero or one any more), and return them all by layer and name."""
    rng = np.random.default_rng(5)
    found = {}
    for weight in model.weights:
        if weight.dtype == "float32":
            sign = 1.0 if "moving" in weight.path else rng.choice([-1.0, 1.0], weight.shape)
            weight.assign(sign * rng.uniform(0.1, 1.0, weight.shape))
            found[weight.path.removeprefix("deepfm/")] = weight.numpy().astype(np.float64)
    return found


def logit_by_the_paper(row: dict[str, Any], w: dict[str, npt.NDArray[np.float64]]) -> float:
    """Equations 1 to 4 of Guo et al. 2017 for one row, with loops; the deep layers have batch normalisation."""
    starts = dict(zip(COLUMNS["embeddings"], np.cumsum([0, SIZES["user"], SIZES["author"]]), strict=True))
    rows = {name: start + row[name] for name, start in starts.items()}
    first_order = sum(w["wide_weights/table"][place, 0] for place in rows.values())
    vectors = {name: w["embeddings/table"][place] for name, place in rows.items()}
    pairs = sum(vectors[a] @ vectors[b] for a, b in combinations(vectors, 2))
    one_hot = np.eye(SIZES["media"])[row["media"]]
    hidden = np.concatenate([*vectors.values(), one_hot, [row["age"]]])
    for layer in (1, 2):
        mean, variance = w[f"norm_{layer}/moving_mean"], w[f"norm_{layer}/moving_variance"]
        hidden = (hidden @ w[f"dense_{layer}/kernel"] - mean) / np.sqrt(variance + 1e-3)
        hidden = np.maximum(hidden * w[f"norm_{layer}/gamma"] + w[f"norm_{layer}/beta"], 0.0)
    deep = hidden @ w["deep/kernel"][:, 0] + w["deep/bias"][0]
    return float(first_order + pairs + deep)


def test_the_output_is_the_formula_of_the_paper() -> None:
    model = build_deepfm(SIZES, model_parameters())
    weights = with_drawn_weights(model)
    rows = {name: values for name, values in columns(20, seed=4).items() if name in ("user", "author", "media", "age")}
    expected = [logit_by_the_paper({name: values[row] for name, values in rows.items()}, weights) for row in range(20)]
    assert np.std(expected) > 1.0
    np.testing.assert_allclose(model(rows, training=False).numpy()[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_pairwise_products_are_all_pairs_of_different_columns() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    expected = [sum(float(a @ b) for a, b in combinations(row, 2)) for row in rows]
    np.testing.assert_allclose(PairwiseProducts()(rows).numpy()[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_planted_rows_and_publishes_what_it_learnt(tmp_path: Path, precision: str) -> None:
    """Labels follow user, author and age: 0.65 is far above chance, 0.5 with a standard deviation of 0.02 here."""
    job = job_of(tmp_path, rows=3000, epochs=6, precision=precision)
    trainer, events = train(job)
    history = json.loads((job.staging / "history.json").read_text())
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert max(record["val_auc"] for record in history) > 0.65
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == list(range(1, len(history) + 1))
    rows = columns(50, seed=1)
    inputs = {name: rows[name] for name in ("user", "author", "media", "age")}
    logits = trainer.task.model(inputs, training=False).numpy()[:, 0]
    scorer = load_scorer(job.staging / "model")
    tolerance = 0.02 if precision == "bf16" else 1e-6
    np.testing.assert_allclose(scorer.probabilities(rows), 1.0 / (1.0 + np.exp(-logits)), atol=tolerance)
    assert {layer.dtype_policy.name for layer in scorer.model.layers} == {"float32"}
    assert json.loads((job.staging / "model" / "config.json").read_text())["tag"] == "deepfm"
    assert len(appended_predictions(job.staging / "model")) == 20


def test_its_tables_are_updated_row_by_row(tmp_path: Path) -> None:
    """Weights and embeddings, of 74 ids each; ``rowwise_min_rows`` of the job is 30."""
    trainer, _ = train(job_of(tmp_path, epochs=1))
    by_row = [state for state in trainer.optimizer.states if isinstance(state, AdamRows)]
    assert len(by_row) == 2


def test_resume_ends_with_the_weights_of_an_uninterrupted_run(tmp_path: Path) -> None:
    whole, _ = train(job_of(tmp_path / "whole"))
    with pytest.raises(InterruptedJobError):
        train(job_of(tmp_path / "cut"), stop_after=2)
    resumed, _ = train(job_of(tmp_path / "cut", resume=True))
    for left, right in zip(whole.weights, resumed.weights, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy())


def test_what_is_wrong_is_told_of_its_own_block(tmp_path: Path) -> None:
    train(job_of(tmp_path, epochs=1))
    with pytest.raises(UserError, match=r"deepfm\.learning_rate = 0\.02 and this run has 0\.03"):
        train(job_of(tmp_path, epochs=1, resume=True, learning_rate=0.03))
    with pytest.raises(UserError, match=r"lower deepfm\.learning_rate"):
        train(job_of(tmp_path, optimizer="adagrad", learning_rate=1e38))
    with pytest.raises(UserError, match=r"deepfm\.memory_limit_mb: 0\.001 MB are too few"):
        train(job_of(tmp_path, memory_limit_mb=0.001))
    with pytest.raises(UserError, match=r"deepfm\.builder: nowhere cannot be imported"):
        train(job_of(tmp_path, builder="nowhere.build"))
    with pytest.raises(UserError, match=r"deepfm\.model: the rows have no id column author"):
        sizes_of_columns("deepfm", ClickParameters.model_validate(DEFAULTS), {"users": 3})


def test_a_folder_without_a_model_is_told_with_the_run_that_makes_it(tmp_path: Path) -> None:
    """The folder has the model's name; what is said of a model that is there follows its own word."""
    folder = tmp_path / "deepfm"
    folder.mkdir()
    (folder / "model.keras").touch()
    with pytest.raises(UserError, match=r"config\.json is missing: train a model first: kedro run --tags deepfm$"):
        load_scorer(folder)
    config = ClickConfig(tag="deepfm", parameters=ClickParameters(), sizes={}, feature_spec_fingerprint="a")
    write_config(config, folder)
    with pytest.raises(UserError, match=r"was trained on other data .* train it again: kedro run --tags deepfm$"):
        check_trained_on(folder, ClickConfig, "b")


@pytest.mark.parametrize(("embeddings", "found"), [([], "none"), (["user"], "user")])
def test_one_column_has_no_pairs(embeddings: list[str], found: str) -> None:
    with pytest.raises(UserError, match=rf"^deepfm\.model\.embeddings: expected at least two .*, found {found}$"):
        build_deepfm(SIZES, model_parameters(embeddings=embeddings))
