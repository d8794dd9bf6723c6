"""The classical click models, against scikit-learn and on rows whose answer is known."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as Reference

from tandem.errors import UserError
from tandem.evaluation import click_baselines
from tandem.evaluation.click_baselines import Rows, evaluate_click_baselines
from tandem.evaluation.logistic import LogisticRegression, indicator_matrix
from tandem.parameters import ClickBaselineParameters

SIZES = (5, 3)


def rows(count: int, seed: int) -> Rows:
    """The label follows the first id and the number."""
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, size, count) for size in SIZES], axis=1).astype(np.int32)
    numbers = rng.random((count, 1), np.float32)
    logit = ids[:, 0] - 2.0 + 3.0 * (numbers[:, 0] - 0.5)
    return ids, numbers, (rng.random(count) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int32)


def test_logistic_regression_is_scikit_learns() -> None:
    ids, numbers, labels = rows(500, 0)
    features = indicator_matrix(ids, SIZES, numbers)
    found = LogisticRegression.fit(features, labels, l2=2.0)
    expected = Reference(C=0.5, tol=1e-8, max_iter=1000).fit(features, labels)
    np.testing.assert_allclose(found.predict(features), expected.predict_proba(features)[:, 1], atol=1e-3)


def test_an_id_beyond_its_column_is_unknown() -> None:
    matrix = indicator_matrix(np.array([[9, 2]], np.int32), SIZES, np.array([[0.5]]))
    assert matrix.toarray().tolist() == [[1, 0, 0, 0, 0, 0, 0, 1, 0.5]]


def test_each_baseline_beats_the_constant_on_the_same_rows() -> None:
    results = evaluate_click_baselines(
        rows(3000, 0), rows(1000, 1), SIZES, ClickBaselineParameters(trees=20), model="wnd"
    )
    assert list(results) == ["constant", "logistic_regression", "boosted_trees"]
    assert results["constant"].metrics["auc"] == 0.5
    for name in ("logistic_regression", "boosted_trees"):
        assert results[name].metrics["auc"] > 0.75
        assert results[name].metrics["log_loss"] < results["constant"].metrics["log_loss"]
    assert results["logistic_regression"].settings["l2"] in click_baselines.L2_GRID


def test_equal_labels_leave_the_constant() -> None:
    ids, numbers, labels = rows(100, 0)
    results = evaluate_click_baselines(
        (ids, numbers, np.ones_like(labels)), rows(50, 1), SIZES, ClickBaselineParameters(), model="wnd"
    )
    assert results["boosted_trees"].metrics == results["constant"].metrics


@pytest.mark.parametrize(("count", "positives"), [(1000, 1), (1000, 999), (10, 5), (2, 1)])
def test_rows_too_few_to_hold_some_out_of_each_class_are_fitted_to_the_end(count: int, positives: int) -> None:
    ids, numbers, _ = rows(count, 0)
    labels = (np.arange(count) < positives).astype(np.int32)
    parameters = ClickBaselineParameters(trees=5)
    results = evaluate_click_baselines((ids, numbers, labels), rows(50, 1), SIZES, parameters, model="wnd")
    assert results["boosted_trees"].settings["trees"] == 5
    assert results["boosted_trees"].metrics["log_loss"] is not None


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"^deepfm\.baselines\.models: boosted_trees needs scikit-learn: pip install .*"
    ):
        evaluate_click_baselines(rows(50, 0), rows(50, 1), SIZES, ClickBaselineParameters(), model="deepfm")
