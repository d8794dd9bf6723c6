"""A PyTorch model in the place of Wide & Deep, trained in this process, on one rank."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tandem.distributed.ranks.communicator import SingleRank
from tandem.errors import UserError
from tandem.models.click.job import ClickJob
from tandem.models.click.torch_task import train_torch_click
from tandem.parameters import ClickParameters
from tandem.scoring.click import load_scorer
from tandem.training.torch.sparse_tables import SparseTable
from tandem.training.torch.trainer import TorchTrainer
from trainings import Events, InterruptedJobError
from wnd_jobs import DEFAULTS, appended_predictions, columns, write_job


def job_of(folder: Path, builder: str = "build_small", **parameters: Any) -> ClickJob:
    return write_job(folder, framework="torch", builder=f"torch_models.{builder}", **parameters)


def train(job: ClickJob, stop_after: int | None = None) -> tuple[TorchTrainer, Events]:
    events = Events(stop_after)
    return train_torch_click(job, SingleRank(), events).loop, events


def equal(left: TorchTrainer, right: TorchTrainer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left.weights, right.weights, strict=True))


KINDS: list[dict[str, Any]] = [
    {},
    {"optimizer": "adagrad", "learning_rate": 0.1},
    {"precision": "bf16"},
    {"builder_options": {"sparse": True}},
    {"builder_options": {"sparse": True}, "optimizer": "adagrad", "learning_rate": 0.1},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_it_learns_and_publishes_what_it_learnt(tmp_path: Path, kind: dict[str, Any]) -> None:
    job = job_of(tmp_path, rows=3000, epochs=6, **kind)
    trainer, _ = train(job)
    history = json.loads((job.staging / "history.json").read_text())
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert max(record["val_auc"] for record in history) > 0.65
    assert list((job.staging / "tensorboard").iterdir())
    rows = columns(50, seed=1)
    inputs = {name: torch.from_numpy(values) for name, values in rows.items() if name != "label"}
    with torch.no_grad():
        expected = torch.sigmoid(trainer.task.model.eval()(inputs)[:, 0]).numpy()
    np.testing.assert_allclose(load_scorer(job.staging / "model").probabilities(rows), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_resume_ends_with_the_weights_of_an_uninterrupted_run(tmp_path: Path, kind: dict[str, Any]) -> None:
    whole, _ = train(job_of(tmp_path / "whole", **kind))
    cut = job_of(tmp_path / "cut", **kind)
    with pytest.raises(InterruptedJobError):
        train(cut, stop_after=2)
    resumed, events = train(job_of(tmp_path / "cut", resume=True, **kind))
    assert "resumes after epoch 2" in events[0]["message"]
    assert equal(whole, resumed)
    other, _ = train(job_of(tmp_path / "other", seed=8, **kind))
    assert not equal(whole, other)


def test_early_stopping_restores_the_best_weights(tmp_path: Path) -> None:
    stopping = {"metric": "auc", "patience": 2}
    trainer, _ = train(job_of(tmp_path, epochs=40, learning_rate=0.1, early_stopping=stopping))
    values = [record["val_auc"] for record in trainer.state.history]
    best = int(np.argmax(values)) + 1
    assert len(values) == best + 2 < 40
    assert trainer.task.validate is not None
    assert trainer.task.validate()["auc"] == values[best - 1]


def test_rows_beyond_the_limit_are_streamed(tmp_path: Path) -> None:
    trainer, events = train(job_of(tmp_path, rows=40_000, epochs=2, batch_size=400, memory_limit_mb=3.0))
    assert "torch_models.build_small streams" in events.messages[0]
    assert trainer.state.history[0]["val_auc"] > 0.6


@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_sparse_tables_are_updated_as_pytorch_does(optimizer: Any) -> None:
    """One that every step looks up whole: lazy Adam is then Adam."""
    torch.manual_seed(0)
    tables = [torch.nn.Embedding(6, 3, sparse=sparse) for sparse in (True, False)]
    tables[1].load_state_dict(tables[0].state_dict())
    own = SparseTable(tables[0].weight, optimizer)
    kinds = {"adam": torch.optim.Adam, "adagrad": torch.optim.Adagrad}
    theirs = kinds[optimizer](tables[1].parameters(), lr=0.1)
    ids, targets = torch.tensor([0, 1, 2, 3, 4, 5, 2]), torch.randn(7, 3)
    for _ in range(5):
        theirs.zero_grad()
        for table in tables:
            (table(ids) - targets).square().sum().backward()
        own.step(0.1, SingleRank())
        theirs.step()
    torch.testing.assert_close(tables[0].weight, tables[1].weight)


def test_a_sparse_table_that_a_step_does_not_look_up_stands_still() -> None:
    table = torch.nn.Embedding(4, 2, sparse=True)
    before = table.weight.detach().clone()
    SparseTable(table.weight, "adam").step(0.1, SingleRank())
    assert torch.equal(table.weight, before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("build_nothing", r"wnd\.builder: torch_models\.build_nothing returned str, expected a torch\.nn\.Module"),
        ("build_wrong_shape", r"returns shape \(2, 3\) for 2 rows, expected logits of shape \(2,\) or \(2, 1\)$"),
        ("build_doubles", r"wnd\.builder: spare is torch\.float64, expected torch\.float32$"),
        ("missing", r"wnd\.builder: .* has no function missing$"),
    ],
)
def test_a_builder_that_does_not_build_is_one_line(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(job_of(tmp_path, name))


def test_divergence_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training diverged in epoch \d: lower wnd\.learning_rate"):
        train(job_of(tmp_path, "build_plain", optimizer="adagrad", learning_rate=1e38))


def test_pytorch_needs_a_builder() -> None:
    with pytest.raises(ValueError, match="framework: torch needs a builder"):
        ClickParameters.model_validate(DEFAULTS | {"framework": "torch"})


def test_predictions_are_appended_to_arrow_batches(tmp_path: Path) -> None:
    job = job_of(tmp_path, epochs=1)
    train(job)
    predictions = appended_predictions(job.staging / "model")
    assert 0.0 < min(predictions) < max(predictions) < 1.0
