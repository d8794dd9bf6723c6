"""The report of a click model shows the others' figures where they are of the same rows, and only there."""

import json
import logging
from typing import Any

import numpy as np
import pytest

from tandem.evaluation.report import Report
from tandem.models.click.config import ClickConfig
from tandem.models.click.report import EvaluatedModel, beside, click_report, log_report
from tandem.parameters import ClickParameters

QUALITY = {"data": {"dataset": "planted", "source": "here", "generated": True}, "best_auc": 0.8}
BASELINES = {"constant": {"metrics": {"auc": 0.5}, "settings": {}, "seconds": 0.0}}


def evaluated(name: str, builder: str | None = None, spec: str = "a", rows: int = 40) -> EvaluatedModel:
    config = ClickConfig(tag=name, parameters=ClickParameters(builder=builder), sizes={}, feature_spec_fingerprint=spec)
    rng = np.random.default_rng(len(name))
    return EvaluatedModel(config, np.arange(rows) % 2, rng.random(rows), train_rows=100)


def report(model: EvaluatedModel, seed: int = 1) -> Report:
    return json.loads(json.dumps(click_report(model, QUALITY, BASELINES, [{"epoch": 1}], seed)))


def test_the_table_has_a_column_of_the_other_model(caplog: pytest.LogCaptureFixture) -> None:
    wnd, deepfm = evaluated("wnd"), evaluated("deepfm")
    own, other = report(wnd), report(deepfm)
    found = beside("wnd", own, {"wnd": own, "deepfm": other, "ncf": other})
    assert found == {"DeepFM": other["model"]}
    with caplog.at_level(logging.INFO):
        log_report(wnd, own, QUALITY, found)
    head, *rows = caplog.records[0].getMessage().splitlines()[1:]
    assert head.split() == ["metric", "W&D", "DeepFM", "constant"]
    auc = next(row.replace("*", "").split() for row in rows if row.startswith("auc"))
    assert auc[1:3] == [f"{one['model']['auc']:.4f}" for one in (own, other)]
    assert "deepfm" not in json.dumps(own).lower()


@pytest.mark.parametrize(
    "other",
    [report(evaluated("deepfm", spec="b")), report(evaluated("deepfm", rows=42)), report(evaluated("deepfm"), seed=2)],
    ids=["another feature spec", "other test rows", "another seed"],
)
def test_figures_of_other_rows_are_not_put_beside(other: dict[str, Any]) -> None:
    assert beside("wnd", report(evaluated("wnd")), {"deepfm": other}) == {}


def test_a_report_that_says_nothing_of_its_rows_is_not_put_beside() -> None:
    assert beside("wnd", report(evaluated("wnd")), {"deepfm": {"model": {"auc": 0.9}}}) == {}


def test_a_model_of_ones_own_in_the_others_place_has_its_own_name() -> None:
    other = report(evaluated("deepfm", builder="my_package.dcn.build"))
    assert list(beside("wnd", report(evaluated("wnd")), {"deepfm": other})) == ["build"]
