"""The baselines that know no user: what everybody takes."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse, special

from tandem.evaluation.lists import AnyIds, Ids, Scores

Floats = NDArray[np.float64]


class Popularity:
    """Scores every item by its number of training interactions, the same for every user."""

    def fit(self, train: sparse.csr_matrix) -> Self:
        """Count; ``train`` is non-zero where a user took an item, shape [users, items]."""
        self._counts = np.bincount(train.indices, minlength=train.shape[1]).astype(np.float64)
        return self

    def score(self, users: Ids) -> Scores:
        """Scores of all items, shape [len(users), items]."""
        return np.broadcast_to(self._counts, (len(users), len(self._counts)))

    def settings(self) -> dict[str, Any]:
        """It has none."""
        return {}


@dataclass(frozen=True)
class PopularityRate:
    """A probability per item: its share of positives among the training rows, smoothed towards the overall share.

    The share of an item with p positives in n rows is ``(p + prior_rows * base_rate) / (n + prior_rows)``: the
    posterior mean under a beta prior of that mean and weight.
    """

    items: Ids
    rates: Floats
    base_rate: float
    prior_rows: float

    @classmethod
    def fit(cls, items: AnyIds, labels: ArrayLike) -> Self:
        """Learn from training rows, positives and negatives.

        ``prior_rows`` is the weight under which the rows are most likely (empirical Bayes: the maximum of the
        beta-binomial likelihood between 0.01 and 10,000 rows).

        Args:
            items: item of each row, shape [n].
            labels: 0 or 1, shape [n].
        """
        ids, index = np.unique(np.asarray(items, dtype=np.int64), return_inverse=True)
        positives = np.bincount(index, np.asarray(labels, dtype=np.float64), len(ids)).astype(np.float64)
        rows = np.bincount(index, minlength=len(ids)).astype(np.float64)
        base_rate = float(positives.sum() / max(1.0, rows.sum()))
        prior = _likeliest_prior_rows(positives, rows, base_rate)
        return cls(ids, (positives + prior * base_rate) / (rows + prior), base_rate, prior)

    def predict(self, items: AnyIds) -> Floats:
        """Probability of each row by its item; the base rate for an item without training rows, shape [n]."""
        wanted = np.asarray(items, dtype=np.int64)
        if not len(self.items):
            return np.full(len(wanted), self.base_rate)
        index = np.minimum(np.searchsorted(self.items, wanted), len(self.items) - 1)
        return np.where(self.items[index] == wanted, self.rates[index], self.base_rate)


def _likeliest_prior_rows(positives: Floats, rows: Floats, base_rate: float) -> float:
    if base_rate in (0.0, 1.0):
        return 1.0

    def negative_log_likelihood(log_prior: float) -> float:
        alpha, beta = np.exp(log_prior) * base_rate, np.exp(log_prior) * (1.0 - base_rate)
        per_item = special.betaln(positives + alpha, rows - positives + beta) - special.betaln(alpha, beta)
        return -float(per_item.sum())

    bounds = (np.log(0.01), np.log(10_000.0))
    return float(np.exp(optimize.minimize_scalar(negative_log_likelihood, bounds=bounds, method="bounded").x))
