"""The report says who is best, also when that is not the model."""

import json

import numpy as np
import pytest

from tandem.evaluation import Metrics
from tandem.evaluation.baselines import BaselineResult
from tandem.evaluation.report import Report, build_report, table, verdict


def report(model: Metrics, **ranking: Metrics) -> Report:
    results = {name: BaselineResult(metrics, {"l2": 400.0}, 0.25) for name, metrics in ranking.items()}
    return build_report(model, {}, results, {"test_rows": 7})


def test_report_joins_both_kinds_of_baselines_and_is_json() -> None:
    found = build_report(
        {"auc": np.float32(0.5), "ndcg@10": None},
        {"constant": {"auc": 0.5}, "popularity": {"auc": 0.75}},
        {
            "popularity": BaselineResult({"ndcg@10": 0.2}, {}, 0.1234),
            "ease": BaselineResult({"ndcg@10": 0.4}, {"l2": 9.0}, 1),
        },
        {"test_rows": 7},
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "model": {"auc": 0.5, "ndcg@10": None},
        "baselines": {
            "constant": {"auc": 0.5},
            "popularity": {"auc": 0.75, "ndcg@10": 0.2},
            "ease": {"ndcg@10": 0.4},
        },
        "data": {
            "test_rows": 7,
            "baseline_settings": {"popularity": {}, "ease": {"l2": 9.0}},
        },
    }


def test_not_a_number_never_reaches_the_file() -> None:
    with pytest.raises(ValueError, match="model: auc is nan"):
        report({"auc": float("nan")})


def test_other_models_stand_beside_the_model_and_may_be_the_best() -> None:
    found = report({"auc": 0.7, "log_loss": 0.5}, constant={"auc": 0.5, "log_loss": 0.6})
    assert table(found, "W&D", {"DeepFM": {"auc": 0.8, "log_loss": 0.55}}).splitlines() == [
        "metric        W&D    DeepFM  constant",
        "auc        0.7000    0.8000*   0.5000",
        "log_loss   0.5000*   0.5500    0.6000",
    ]


def test_table_marks_the_best_of_each_row() -> None:
    found = report(
        {"log_loss": 0.25, "ndcg@10": 0.431, "coverage@10": 0.2, "recall": 0.9},
        ease={"ndcg@10": 0.446, "log_loss": 0.3, "coverage@10": 0.3, "recall": 1.0},
    )
    assert table(found, "NCF").splitlines() == [
        "metric           NCF      EASE",
        "log_loss      0.2500*   0.3000",
        "ndcg@10       0.4310    0.4460*",
        "coverage@10   0.2000    0.3000",
        "recall        0.9000    1.0000",
    ]


def test_table_shows_what_is_missing() -> None:
    assert table(report({"auc": 0.5}, als={"ndcg@10": 0.4}), "NCF").splitlines()[1:] == [
        "auc       0.5000*        –",  # noqa: RUF001
        "ndcg@10        –    0.4000*",  # noqa: RUF001
    ]


def test_a_better_baseline_is_said() -> None:
    found = report({"ndcg@10": 0.431}, popularity={"ndcg@10": 0.2}, ease={"ndcg@10": 0.446})
    assert verdict(found, "NCF") == "EASE ranks better than NCF: ndcg@10 0.4460 against 0.4310"


def test_each_protocol_is_judged() -> None:
    model = {"ndcg@10": 0.43, "ndcg@10_sampled": 0.44, "log_loss": 0.3, "auc": 0.9}
    found = report(model, als={"ndcg@10": 0.44, "ndcg@10_sampled": 0.41}, popularity={"log_loss": 0.2, "auc": 0.8})
    assert verdict(found, "NCF") == (
        "ALS ranks better than NCF: ndcg@10 0.4400 against 0.4300; "
        "popularity predicts better than NCF: log_loss 0.2000 against 0.3000"
    )


@pytest.mark.parametrize("baseline", [0.4310, 0.43101, 0.2])
def test_a_model_that_is_not_beaten_is_said_too(baseline: float) -> None:
    """What differs only beyond the fourth decimal is equal."""
    assert verdict(report({"ndcg@10": 0.431}, ease={"ndcg@10": baseline}), "NCF") == "No baseline beats NCF in ndcg@10"


def test_without_a_common_metric_nothing_is_claimed() -> None:
    assert verdict(report({"ndcg@10": None}, ease={"ndcg@10": 0.4}), "NCF") == "NCF was compared with no baseline"
