"""What every ranking baseline is: fitted once, it scores all items for some users."""

from typing import Any, Protocol, Self

import numpy as np
from scipy import sparse

from tandem.evaluation.lists import PADDING, Ids, Scores, top_k

BLOCK_CELLS = 4_000_000
"""Scores held at once: about 32 MB as float64."""


class Recommender(Protocol):
    """A model over the users and items of one matrix."""

    def fit(self, train: sparse.csr_matrix) -> Self:
        """Learn from 0/1 interactions, shape [users, items]."""
        ...

    def score(self, users: Ids) -> Scores:
        """Scores of all items for these rows of the matrix, shape [len(users), items]; higher is better."""
        ...

    def settings(self) -> dict[str, Any]:
        """What it was fitted with, for the report."""
        ...


def rank_users(model: Recommender, users: Ids, seen: sparse.csr_matrix, k: int) -> Ids:
    """The best k unseen items of each user, shape [len(users), k], ``PADDING`` where there are fewer."""
    lists = np.full((len(users), k), PADDING, dtype=np.int64)
    rows = _rows_per_block(seen.shape[1])
    for start in range(0, len(users), rows):
        block = users[start : start + rows]
        lists[start : start + rows] = top_k(model.score(block), seen[block], k)[0]
    return lists


def score_pairs(model: Recommender, users: Ids, items: Ids, item_count: int) -> Scores:
    """Scores of (user, item) pairs, shape [n]; whole rows are scored, a block of users at a time."""
    distinct, row = np.unique(users, return_inverse=True)
    by_user = np.argsort(row, kind="stable")
    scores, rows = np.empty(len(users), dtype=np.float64), _rows_per_block(item_count)
    for start in range(0, len(distinct), rows):
        first, last = np.searchsorted(row, (start, start + rows), sorter=by_user)
        pairs = by_user[first:last]
        scores[pairs] = model.score(distinct[start : start + rows])[row[pairs] - start, items[pairs]]
    return scores


def _rows_per_block(items: int) -> int:
    return max(1, BLOCK_CELLS // max(1, items))
