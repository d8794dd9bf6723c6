import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.ncf.network import Calibration
from tandem.training.calibration import fit_calibration


def rows(scale: float, offset: float, n: int = 4000):
    rng = np.random.default_rng(0)
    logits = rng.normal(1.0, 2.0, n)
    return logits, (rng.random(n) < 1 / (1 + np.exp(-(scale * logits + offset)))).astype(float)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.3, -2.0), (3.0, 1.0)])
def test_it_is_unpenalised_logistic_regression(scale, offset):
    logits, labels = rows(scale, offset)
    expected = LogisticRegression(C=np.inf).fit(logits[:, None], labels)
    found = fit_calibration(logits, labels, SingleRank())
    assert found.scale == pytest.approx(expected.coef_[0, 0], rel=1e-3)
    assert found.offset == pytest.approx(expected.intercept_[0], abs=1e-3)


def test_nothing_is_left_as_it_is():
    assert fit_calibration(np.empty(0), np.empty(0), SingleRank()) == Calibration()


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_a_model_that_tells_nothing_apart_gives_the_share_of_positives(share):
    """The identity, as before, made probabilities around a half of the cosines of two towers: a log loss of 0.7."""
    rng = np.random.default_rng(0)
    labels = (np.arange(4000) < share * 4000).astype(float)
    cosines = rng.uniform(-0.9, 0.9, 4000) - 0.1 * labels
    found = fit_calibration(cosines, labels, SingleRank())
    predicted = 1 / (1 + np.exp(-(found.scale * cosines + found.offset)))
    assert predicted.mean() == pytest.approx(share, abs=1e-3)
    assert np.abs(predicted - predicted.mean()).max() < 1e-3
    assert np.array_equal(np.argsort(predicted, kind="stable"), np.argsort(cosines, kind="stable"))
