"""The models of docs/custom_models.md, as they stand there, are trained and scored; four files make one a citizen."""

import re
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.framework.project import configure_project
from kedro.io import DataCatalog, MemoryDataset

import torch_models
import two_tower_jobs
from projects import ROOT
from tandem.config_loader import ConfigLoader
from tandem.distributed.ranks.communicator import SingleRank
from tandem.hooks import parameter_types
from tandem.models.click import CLICK_MODELS, ClickModel
from tandem.models.click.keras_task import train_keras_click
from tandem.models.click.torch_task import train_torch_click
from tandem.models.two_tower.task import TwoTowerTrainer
from tandem.parameters import ClickParameters
from tandem.pipeline_registry import register_pipelines
from tandem.scoring.click import load_scorer
from wnd_jobs import DEFAULTS, columns, write_job

PAGE = ROOT / "docs" / "custom_models.md"


def example(name: str) -> str:
    """The code that stands on the page behind the name of its file."""
    (code,) = re.findall(rf"`{name}`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    found = types.ModuleType("my_package")
    monkeypatch.setitem(sys.modules, "my_package", found)
    for name in ("dcn", "dlrm", "towers"):
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
        ("my_package.dcn.build", "tensorflow", train_keras_click, {"dim": 4, "hidden_units": [16]}),
        ("my_package.dlrm.build", "torch", train_torch_click, {"dim": 4, "top": [16], "sparse_from": 30}),
    ],
    ids=["DCN-v2", "DLRM"],
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


def test_crosses_are_what_the_formula_says(package: Any) -> None:
    first, last = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    layer = package.dcn.Cross()
    found = layer([first, last]).numpy()
    kernel = layer.linear.kernel.numpy()
    np.testing.assert_allclose(found, first * (last @ kernel) + last, rtol=1e-5)


@pytest.fixture
def fm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's module, and its line in the dict."""
    module = types.ModuleType("tandem.models.click.fm")
    exec(compile(example("tandem/models/click/fm.py"), str(PAGE), "exec"), module.__dict__)  # noqa: S102 -- our page
    monkeypatch.setitem(sys.modules, module.__name__, module)
    (line,) = re.findall(r"^```python\n(\"fm\": .*),\n```$", PAGE.read_text(), re.MULTILINE)
    monkeypatch.setitem(CLICK_MODELS, "fm", eval(f"{{{line}}}")["fm"])  # noqa: S307 -- our page


@pytest.mark.usefixtures("fm")
def test_a_module_a_line_and_a_block_of_parameters_make_a_pipeline_whose_catalog_is_complete(tmp_path: Path) -> None:
    configure_project("tandem")
    (block,) = re.findall(r"^# conf/base/parameters_fm.yml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "conf/base/parameters_fm.yml").write_text(block)
    loader = ConfigLoader(str(tmp_path / "conf"), base_env="base", default_run_env="base")
    pipeline = register_pipelines()["fm"].only_nodes_with_tags("fm")
    names = {name for name in pipeline.datasets() if not name.startswith("params:")}
    catalog = DataCatalog.from_config(loader["catalog"])
    assert {name for name in names if isinstance(catalog.get(name), MemoryDataset | None)} == set()
    tasks = {node.name for node in pipeline.nodes}
    assert {"train_fm", "evaluate_fm_baselines", "predict_fm_test", "report_fm"} < tasks
    types_of = parameter_types([pipeline])
    assert types_of["fm"] is ClickParameters
    assert set(types_of) <= set(loader["parameters"])
    assert types_of["fm"].model_validate(loader["parameters"]["fm"]).model.embeddings == ("user", "author", "language")


@pytest.mark.usefixtures("fm")
def test_it_is_trained_scored_and_called_by_its_name(tmp_path: Path) -> None:
    columns_of_fm = DEFAULTS["model"] | {"continuous": [], "indicators": []}
    job = write_job(tmp_path, name="fm", rows=3000, epochs=6, model=columns_of_fm)
    trainer = train_keras_click(job, SingleRank(), lambda event: None)
    assert max(record["val_auc"] for record in trainer.state.history) > 0.6
    assert (job.config.title, job.config.tag) == ("Factorisation machine", "fm")
    probabilities = load_scorer(job.staging / "model").probabilities(columns(100, seed=1))
    assert 0.0 < probabilities.min() < probabilities.max() < 1.0


def test_a_pytorch_model_may_be_one_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same line with ``torch``; it is called with the sizes and the columns."""
    module = types.ModuleType("tandem.models.click.small")
    module.build_small = lambda sizes, parameters: torch_models.build_small(sizes, parameters.continuous)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    ours = ClickModel("Small", "Small", f"{module.__name__}.build_small", "torch")
    monkeypatch.setitem(CLICK_MODELS, "small", ours)
    job = write_job(tmp_path, name="small", rows=3000, epochs=5)
    assert job.config.framework == "torch"
    trainer = train_torch_click(job, SingleRank(), lambda event: None)
    assert max(record["val_auc"] for record in trainer.state.history) > 0.6
    assert load_scorer(job.staging / "model").probabilities(columns(7)).shape == (7,)


@pytest.mark.usefixtures("package")
def test_towers_of_ones_own_learn_and_leave_vectors(tmp_path: Path) -> None:
    job = two_tower_jobs.write_job(tmp_path, builder="my_package.towers.build", builder_options={"width": 8}, epochs=3)
    trainer = TwoTowerTrainer(job, SingleRank(), lambda event: None)
    trainer.fit()
    trainer.save()
    history = trainer.loop.state.history
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert list((job.staging / "item_embeddings").iterdir())
