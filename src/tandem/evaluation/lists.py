"""What is ranked and against what, and scores to lists: the best k items of each user, without those seen."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tandem.errors import UserError

Ids = NDArray[np.int64]
AnyIds = NDArray[np.integer[Any]]
Scores = NDArray[np.floating[Any]]

PADDING = -1
"""Stands in a list's row where the user has no further item."""

_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True)
class Pairs:
    """(user, item) pairs as two arrays of integer ids of one length, in any order."""

    users: AnyIds
    items: AnyIds


@dataclass(frozen=True)
class Lists:
    """Ranked lists as three arrays of one length, in any order: user, item, and rank from 1."""

    users: AnyIds
    items: AnyIds
    ranks: AnyIds

    @classmethod
    def of_matrix(cls, users: AnyIds, items: AnyIds) -> Self:
        """The rows of a matrix of lists, padding left out.

        Args:
            users: user of each row, shape [users].
            items: items from the best on, ``PADDING`` where there is none, shape [users, k].
        """
        rows, columns = np.nonzero(items != PADDING)
        return cls(users[rows], items[rows, columns], columns + 1)


@dataclass(frozen=True)
class Candidates:
    """The rows of the 99-negatives protocol: user, item and label (1: the held-out positive, else 0), in any order."""

    users: AnyIds
    items: AnyIds
    labels: AnyIds


def top_k(scores: Scores, seen: sparse.csr_matrix | None, k: int) -> tuple[Ids, Scores]:
    """The best k items of each user, without those seen; equal scores go to the smaller item index.

    Works on blocks of rows, so that it never copies the whole of ``scores``. A score of minus infinity is never listed.

    Args:
        scores: shape [users, items]; left as it is.
        seen: same shape, non-zero where the user has seen the item; ``None``: nothing seen.
        k: length of the lists; may exceed the number of items.

    Returns:
        Items from the best on, int64, and their scores, both [users, k]; ``PADDING`` and minus infinity where a user
        has no further item.

    Raises:
        UserError: a score is not a number.
    """
    users, items = scores.shape
    best_items = np.full((users, k), PADDING, dtype=np.int64)
    best_scores = np.full((users, k), -np.inf, dtype=scores.dtype)
    block_rows, length = max(1, _BLOCK_CELLS // max(1, items)), min(k, items)
    for start in range(0, users if length else 0, block_rows):
        block = checked_scores(scores[start : start + block_rows]).copy()
        if seen is not None:
            block[seen[start : start + block_rows].nonzero()] = -np.inf
        chosen = _best_columns(block, length)
        values = np.take_along_axis(block, chosen, axis=1)
        best_items[start : start + block_rows, :length] = np.where(np.isneginf(values), PADDING, chosen)
        best_scores[start : start + block_rows, :length] = values
    return best_items, best_scores


def checked_scores(scores: Scores) -> Scores:
    """The scores as they are.

    Raises:
        UserError: a score is not a number.
    """
    if np.isnan(scores).any():
        raise UserError(
            f"scores: {int(np.isnan(scores).sum())} of {scores.size} are not a number; "
            "the training has diverged: lower the learning rate"
        )
    return scores


def _best_columns(block: Scores, k: int) -> Ids:
    """Columns of the k highest values of each row, from the highest on, equal values by column; shape [rows, k]."""
    columns = np.sort(np.argpartition(block, -k, axis=1)[:, -k:], axis=1)
    lowest = np.take_along_axis(block, columns, axis=1).min(axis=1, keepdims=True)
    tied = np.flatnonzero(np.count_nonzero(block >= lowest, axis=1) > k)
    if len(tied):
        columns[tied] = np.sort(np.argsort(-block[tied], axis=1, kind="stable")[:, :k], axis=1)
    best_first = np.argsort(-np.take_along_axis(block, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, best_first, axis=1)
