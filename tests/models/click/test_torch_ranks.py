"""A PyTorch model on real ranks: bit-equal weights, and the curve of one rank."""

import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

import torch_models
from tandem.distributed.launch.launcher import launch
from tandem.parameters import DistributedParameters
from wnd_jobs import write_job

# On one batch an epoch, without dropout and batch norm, the number of ranks changes nothing but the order of sums.
EXACT: dict[str, Any] = {"optimizer": "adagrad", "learning_rate": 0.1, "batch_size": 100_000, "epochs": 2}


@pytest.fixture(autouse=True)
def _models_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [str(Path(torch_models.__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))


def train(
    folder: Path, ranks: int, builder: str, rows: int = 1003, **parameters: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The published weights, and the history; the ranks themselves compare their weights."""
    job = write_job(folder, rows=rows, framework="torch", builder=f"torch_models.{builder}", **parameters)
    events: list[dict[str, Any]] = []
    launch(
        "tandem.models.click.torch_rank",
        job,
        parameters=DistributedParameters(num_ranks=ranks, cores_per_rank=1, bind=False),
        framework="torch",
        work_dir=folder / "work",
        on_event=events.append,
    )
    return load_file(job.staging / "model/model.safetensors"), [one for one in events if one["event"] == "epoch"]


@pytest.mark.slow
@pytest.mark.parametrize("sparse", [False, True])
def test_two_ranks_train_as_one(tmp_path: Path, sparse: bool) -> None:
    options = {"builder_options": {"sparse": sparse}}
    _, together = train(tmp_path / "two", 2, "build_plain", **EXACT, **options)
    _, alone = train(tmp_path / "one", 1, "build_plain", **EXACT, **options)
    assert len(together) == 2
    assert [one["train_loss"] for one in together] == pytest.approx([one["train_loss"] for one in alone], rel=1e-4)
    assert [one["val_auc"] for one in together] == pytest.approx([one["val_auc"] for one in alone], abs=1e-3)


@pytest.mark.slow
def test_moving_averages_and_sparse_rows_are_the_same_on_both_ranks_and_every_time(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "unknown_rate": 0.1, "builder_options": {"sparse": True}}
    first, history = train(tmp_path / "first", 2, "build_small", **settings)
    again, _ = train(tmp_path / "again", 2, "build_small", **settings)
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert first["deep.1.running_mean"].any(), "the averages of batch normalisation are published"
    assert all((first[name] == again[name]).all() for name in first)


@pytest.mark.slow
def test_two_ranks_stream_what_is_too_large_for_their_memory(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"rows": 80_000, "epochs": 2, "batch_size": 400}
    _, streamed = train(tmp_path / "streamed", 2, "build_small", memory_limit_mb=3.0, **settings)
    _, inside = train(tmp_path / "inside", 2, "build_small", **settings)
    for name, tolerance in (("samples", 0), ("train_loss", 0.02), ("val_log_loss", 0.02), ("val_auc", 0.01)):
        assert [one[name] for one in streamed] == pytest.approx([one[name] for one in inside], abs=tolerance), name
    assert streamed[0]["train_loss"] != inside[0]["train_loss"], "another order: it was streamed"
