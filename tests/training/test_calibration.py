import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tandem.distributed.collectives import SingleRank
from tandem.models.ncf import Calibration
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


def test_what_cannot_be_fitted_is_left_as_it_is():
    logits, labels = rows(1.0, 0.0)
    assert fit_calibration(logits, np.ones_like(labels), SingleRank()) == Calibration()
    assert fit_calibration(-logits, labels, SingleRank()) == Calibration()
    assert fit_calibration(np.empty(0), np.empty(0), SingleRank()) == Calibration()
