"""The models of docs/custom_models.md, as they stand there, are trained and scored."""

import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import two_tower_jobs
from projects import ROOT
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.click.keras_task import train_keras_click
from tandem.models.click.torch_task import train_torch_click
from tandem.models.two_tower.task import TwoTowerTrainer
from tandem.scoring.click import load_scorer
from wnd_jobs import columns, write_job

PAGE = ROOT / "docs" / "custom_models.md"


def example(name: str) -> str:
    """The code that stands on the page behind the name of its file."""
    (code,) = re.findall(rf"`{name}`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    found = types.ModuleType("my_package")
    monkeypatch.setitem(sys.modules, "my_package", found)
    for name in ("deepfm", "dlrm", "towers"):
        module = types.ModuleType(f"my_package.{name}")
        exec(compile(example(f"my_package/{name}.py"), str(PAGE), "exec"), module.__dict__)  # noqa: S102 -- our page
        monkeypatch.setitem(sys.modules, module.__name__, module)
        setattr(found, name, module)
    return found


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("path", "framework", "train", "options"),
    [
        ("my_package.deepfm.build", "tensorflow", train_keras_click, {"dim": 4, "hidden_units": [16]}),
        ("my_package.dlrm.build", "torch", train_torch_click, {"dim": 4, "top": [16], "sparse_from": 30}),
    ],
    ids=["DeepFM", "DLRM"],
)
def test_it_learns_and_is_scored(
    tmp_path: Path, path: str, framework: str, train: Any, options: dict[str, Any], precision: str
) -> None:
    settings = {"framework": framework, "builder": path, "builder_options": options, "precision": precision}
    job = write_job(tmp_path, rows=3000, epochs=5, **settings)
    trainer = train(job, SingleRank(), lambda event: None)
    assert max(record["val_auc"] for record in trainer.state.history) > 0.65
    probabilities = load_scorer(job.staging / "model").probabilities(columns(100, seed=1))
    assert 0.0 < probabilities.min() < probabilities.max() < 1.0


def test_pairwise_products_are_what_the_formula_says(package: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    expected = [sum(float(row[i] @ row[j]) for i in range(3) for j in range(i)) for row in rows]
    np.testing.assert_allclose(package.deepfm.PairwiseProducts()(rows).numpy()[:, 0], expected, rtol=1e-5)


@pytest.mark.usefixtures("package")
def test_towers_of_ones_own_learn_and_leave_vectors(tmp_path: Path) -> None:
    job = two_tower_jobs.write_job(tmp_path, builder="my_package.towers.build", builder_options={"width": 8}, epochs=3)
    trainer = TwoTowerTrainer(job, SingleRank(), lambda event: None)
    trainer.fit()
    trainer.save()
    history = trainer.loop.state.history
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert list((job.staging / "item_embeddings").iterdir())
