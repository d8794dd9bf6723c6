"""EASE: a linear model of items on items, in closed form."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from tandem.errors import UserError
from tandem.evaluation.lists import Ids, Scores


@dataclass
class Ease:
    """Embarrassingly shallow autoencoder (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", eq. 8).

    With X the 0/1 interactions, the item weights B minimise ``|X - X B|^2 + l2 |B|^2`` under a zero diagonal:
    ``P = (X'X + l2 I)^-1``, ``B = I - P / diag(P)`` column by column. Solved in float64 by one symmetric inverse, with
    up to three items x items matrices in memory; scored in float32.
    """

    l2: float = 400.0
    max_items: int = 20_000
    _weights: Scores = field(init=False, repr=False)
    _train: sparse.csr_matrix = field(init=False, repr=False)

    def fit(self, train: sparse.csr_matrix) -> Self:
        """Solve for the weights; ``train`` is 0/1, shape [users, items].

        Raises:
            UserError: more than ``max_items`` items.
        """
        if train.shape[1] > self.max_items:
            raise UserError(
                f"EASE inverts an items x items matrix and there are {train.shape[1]:,} items, more than "
                f"ease_max_items ({self.max_items:,}): raise that, or leave ease out of the baselines"
            )
        self._train = train.astype(np.float32)
        gram = (self._train.T @ self._train).astype(np.float64).toarray(order="F")
        gram[np.diag_indices_from(gram)] += self.l2
        precision = _inverse_of_positive_definite(gram)
        precision /= -np.diag(precision)
        np.fill_diagonal(precision, 0.0)
        self._weights = np.ascontiguousarray(precision, dtype=np.float32)
        return self

    def score(self, users: Ids) -> Scores:
        """Scores of all items, shape [len(users), items]."""
        return np.asarray(self._train[users] @ self._weights)

    def settings(self) -> dict[str, Any]:
        """What was chosen."""
        return {"l2": self.l2}


def _inverse_of_positive_definite(matrix: Scores) -> Scores:
    """Through one Cholesky factor, half the work of a general inverse; overwrites ``matrix``, in Fortran order.

    On one thread: OpenBLAS's triangular inverse spins for longer than it computes when its threads have to share a
    core with anything else (1.5 s of CPU time against 0.1 s at 1,682 items).
    """
    if not len(matrix):
        return matrix
    potrf, potri = linalg.get_lapack_funcs(("potrf", "potri"), (matrix,))
    with threadpool_limits(1, "blas"):
        factor, failed = potrf(matrix, lower=True, overwrite_a=True, clean=False)
        if not failed:
            factor, failed = potri(factor, lower=True, overwrite_c=True)
    if failed:
        raise UserError("EASE: the item matrix is not positive definite; raise ease_l2")
    lower = np.tril(factor)
    return np.asarray(lower + np.tril(lower, -1).T)
