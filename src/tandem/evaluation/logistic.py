"""Logistic regression on ids and numbers: one weight per id, one per number, fitted by L-BFGS."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
ITERATIONS = 100


@dataclass(frozen=True)
class LogisticRegression:
    """``probability = sigmoid(features @ weights + intercept)``; weights: float64 [features]."""

    weights: Floats
    intercept: float
    l2: float

    @classmethod
    def fit(cls, features: sparse.csr_matrix, labels: npt.NDArray[Any], l2: float) -> Self:
        """Minimise the summed log loss plus ``l2 / 2`` times the squared weights (the intercept is free).

        features: [rows, features]; labels: 0 or 1, [rows].
        """
        y, transposed = labels.astype(np.float64), features.T.tocsr()

        def loss(point: Floats) -> tuple[float, Floats]:
            weights, intercept = point[:-1], point[-1]
            z = features @ weights + intercept
            error = _sigmoid(z) - y
            value = np.logaddexp(0.0, np.where(y > 0, -z, z)).sum() + 0.5 * l2 * (weights @ weights)
            return float(value), np.append(transposed @ error + l2 * weights, error.sum())

        start = np.zeros(features.shape[1] + 1)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}).x
        return cls(found[:-1], float(found[-1]), l2)

    def predict(self, features: sparse.csr_matrix) -> Floats:
        """Probabilities, [rows]."""
        return _sigmoid(features @ self.weights + self.intercept)


def indicator_matrix(ids: npt.NDArray[np.int32], sizes: tuple[int, ...], numbers: Any) -> sparse.csr_matrix:
    """One-hot ids and numbers side by side, [rows, sum of sizes + numbers], float64.

    ids: [rows, columns]; sizes: ids of each column, 0 included (an id beyond is taken as 0); numbers: [rows, columns].
    """
    rows = len(ids)
    known = np.where(ids < np.array(sizes), ids, 0)
    places = known.astype(np.int64) + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    offsets = np.arange(0, rows * len(sizes) + 1, max(1, len(sizes)))
    one_hot = sparse.csr_matrix((np.ones(places.size), places.ravel(), offsets), shape=(rows, sum(sizes)))
    return sparse.hstack([one_hot, sparse.csr_matrix(np.asarray(numbers, np.float64))], format="csr")


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))
