"""The model of docs/custom_models.md, as it stands there, is trained and scored."""

import re
import sys
import types

import pytest

from projects import ROOT
from tandem.distributed.collectives import SingleRank
from tandem.training.wide_and_deep import train_wide_and_deep
from tandem.training.wide_and_deep_scoring import WideAndDeepScorer
from wnd_jobs import columns, write_job

PAGE = ROOT / "docs" / "custom_models.md"


@pytest.fixture
def deepfm(monkeypatch):
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[:1]
    package, module = types.ModuleType("my_package"), types.ModuleType("my_package.deepfm")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)  # noqa: S102 -- the page's own example
    monkeypatch.setitem(sys.modules, "my_package", package)
    monkeypatch.setitem(sys.modules, "my_package.deepfm", module)
    return module


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deepfm_learns_and_is_scored(deepfm, tmp_path, precision):
    job = write_job(
        tmp_path,
        rows=3000,
        epochs=5,
        precision=precision,
        builder="my_package.deepfm.build",
        builder_options={"dim": 4, "hidden_units": [16]},
    )
    trainer = train_wide_and_deep(job, SingleRank(), lambda event: None)
    assert max(record["val_auc"] for record in trainer.state.history) > 0.65
    probabilities = WideAndDeepScorer(job.staging / "model").probabilities(columns(100, seed=1))
    assert 0.0 < probabilities.min() < probabilities.max() < 1.0


def test_pairwise_products_are_what_the_formula_says(deepfm):
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    expected = [sum(float(row[i] @ row[j]) for i in range(3) for j in range(i)) for row in rows]
    np.testing.assert_allclose(deepfm.PairwiseProducts()(rows).numpy()[:, 0], expected, rtol=1e-5)
