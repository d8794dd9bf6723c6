"""Candidates per user: the nearest items without those that the user has seen."""

import numpy as np
from scipy import sparse

from tandem.retrieval.index import NOTHING, Positions, VectorIndex, Vectors

_USERS_AT_ONCE = 1_024


def nearest_unseen(
    index: VectorIndex, users: Vectors, seen: sparse.csr_matrix, k: int, model_fingerprint: str
) -> tuple[Positions, Vectors]:
    """The best k items of each user without those seen.

    As many more neighbours are asked for as a user has seen items, so none of the k is lost to them; users of like
    counts are asked for together. A user who leaves fewer than k items unseen gets these.

    Args:
        index: of the item vectors.
        users: float32 [users, dim].
        seen: [users, items of the index], non-zero where the user has seen the item.
        k: length of the lists.
        model_fingerprint: of the model that made the user vectors.

    Returns:
        Rows of the index and scores, both [users, k]; ``NOTHING`` and minus infinity where there is no further item.

    Raises:
        UserError: as ``VectorIndex.search``.
    """
    positions = np.full((len(users), k), NOTHING, np.int64)
    scores = np.full((len(users), k), -np.inf, np.float32)
    counts = np.diff(seen.indptr)
    by_count = np.argsort(counts, kind="stable")
    for start in range(0, len(users), _USERS_AT_ONCE):
        rows = by_count[start : start + _USERS_AT_ONCE]
        asked = max(k, min(index.info.items, k + int(counts[rows].max())))
        found, products = index.search(users[rows], asked, model_fingerprint)
        positions[rows], scores[rows] = _without(found, products, seen[rows], k)
    return positions, scores


def _without(found: Positions, products: Vectors, seen: sparse.csr_matrix, k: int) -> tuple[Positions, Vectors]:
    """The first k of each row that are not in ``seen``; found: [rows, asked]."""
    rows = np.repeat(np.arange(len(found)), np.diff(seen.indptr))
    keys = np.arange(len(found))[:, None] * seen.shape[1] + found
    dropped = (found == NOTHING) | np.isin(keys, rows * seen.shape[1] + seen.indices)
    kept_first = np.argsort(dropped, axis=1, kind="stable")[:, :k]
    gone = np.take_along_axis(dropped, kept_first, 1)
    positions = np.where(gone, NOTHING, np.take_along_axis(found, kept_first, 1))
    return positions, np.where(gone, np.float32(-np.inf), np.take_along_axis(products, kept_first, 1))
