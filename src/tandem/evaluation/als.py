"""ALS: implicit-feedback matrix factorisation, by the ``implicit`` library."""

import os
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from tandem.errors import UserError
from tandem.evaluation.lists import Ids, Scores


@dataclass
class Als:
    """Weighted matrix factorisation (Hu, Koren & Volinsky 2008): an interaction weighs ``alpha``, everything else 1."""

    factors: int = 64
    regularization: float = 0.05
    alpha: float = 20.0
    iterations: int = 15
    seed: int = 0
    _user_factors: Scores = field(init=False, repr=False)
    _item_factors: Scores = field(init=False, repr=False)

    def fit(self, train: sparse.csr_matrix) -> Self:
        """Factorise; ``train`` is 0/1, shape [users, items]. The same seed gives the same factors.

        Raises:
            UserError: ``implicit`` is not installed.
        """
        model = _implicit_als()
        # implicit threads over rows itself and asks for a BLAS of one thread beneath.
        with threadpool_limits(1, "blas"):
            fitted = model(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                random_state=self.seed,
                num_threads=len(os.sched_getaffinity(0)),
            )
            fitted.fit(train.astype(np.float32), show_progress=False)
        self._user_factors, self._item_factors = fitted.user_factors, fitted.item_factors
        return self

    def score(self, users: Ids) -> Scores:
        """Scores of all items, shape [len(users), items]."""
        return np.asarray(self._user_factors[users] @ self._item_factors.T)

    def settings(self) -> dict[str, Any]:
        """What was chosen."""
        return {
            "factors": self.factors,
            "regularization": self.regularization,
            "alpha": self.alpha,
            "iterations": self.iterations,
        }


def _implicit_als() -> Any:
    try:
        from implicit.cpu.als import AlternatingLeastSquares
    except ImportError as error:
        raise UserError(
            "the ALS baseline needs the package 'implicit': pip install 'tandem-recsys[als]', "
            "or leave als out of ncf.baselines.models"
        ) from error
    return AlternatingLeastSquares
