"""Choosing a baseline's settings on held-out training rows, never on test rows."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from scipy import sparse

from tandem.evaluation.als import Als
from tandem.evaluation.ease import Ease
from tandem.evaluation.lists import Lists, Pairs
from tandem.evaluation.ranking import ranking_metrics
from tandem.evaluation.recommender import Recommender, rank_users

logger = logging.getLogger(__name__)

Model = TypeVar("Model", bound=Recommender)

EASE_L2_FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
ALS_REGULARIZATIONS = (1.0, 10.0, 30.0)
ALS_ALPHAS = (1.0, 2.0, 5.0, 10.0)
ALS_FACTOR_STEPS = (0.5, 2.0)
MAX_USERS = 2_000
"""Validation users that settings are compared on; their lists would cost more than the fits otherwise."""
TOLD_SECONDS = 5.0
"""Between two lines about fits, at least."""
TOLD_ITEMS = 4_000
"""Of so many, a single fit takes long, and the number of fits is told before."""


@dataclass(frozen=True)
class Validation:
    """Training rows in two disjoint parts, both 0/1, shape [users, items]."""

    train: sparse.csr_matrix
    valid: sparse.csr_matrix


def hold_out(train: sparse.csr_matrix, fraction: float, seed: int) -> Validation:
    """Draw interactions into the validation part with probability ``fraction``; seeded, in any order of storage."""
    ordered = train.sorted_indices()
    drawn = np.random.default_rng(seed).random(ordered.nnz) < fraction
    parts = []
    for chosen in (~drawn, drawn):
        part = ordered.copy()
        part.data = chosen.astype(ordered.dtype)
        part.eliminate_zeros()
        parts.append(part)
    return Validation(*parts)


def ndcg(model: Recommender, validation: Validation, k: int = 10) -> float:
    """NDCG@k of a model fitted to ``validation.train``, over at most ``MAX_USERS`` validation users evenly spaced."""
    users = np.flatnonzero(np.diff(validation.valid.indptr))
    users = users[:: -(-len(users) // MAX_USERS) or 1].astype(np.int64)
    rows, items = validation.valid[users].nonzero()
    lists = Lists.of_matrix(users, rank_users(model, users, validation.train, k))
    relevant = Pairs(users[rows], items)
    return ranking_metrics(lists, relevant, validation.train.shape[1], k)[f"ndcg@{k}"] or 0.0


def tune_ease(start: Ease, validation: Validation) -> Ease:
    """The best l2 on a grid of powers of two around the given one; not fitted."""
    judge = Judge("ease", len(EASE_L2_FACTORS) + 1, validation)
    return _best((replace(start, l2=start.l2 * factor) for factor in EASE_L2_FACTORS), judge)


def tune_als(start: Als, validation: Validation) -> Als:
    """The best settings, one after the other: regularisation, alpha, number of factors; not fitted."""
    penalties = dict.fromkeys((start.regularization, *ALS_REGULARIZATIONS))
    alphas = dict.fromkeys((start.alpha, *ALS_ALPHAS))
    sizes = dict.fromkeys((start.factors, *(max(1, int(start.factors * step)) for step in ALS_FACTOR_STEPS)))
    judge = Judge("als", len(penalties) + len(alphas) + len(sizes) + 1, validation)
    best = _best((replace(start, regularization=penalty) for penalty in penalties), judge)
    best = _best((replace(best, alpha=alpha) for alpha in alphas), judge)
    return _best((replace(best, factors=size) for size in sizes), judge)


@dataclass
class Judge:
    """NDCG of a model fitted to the validation's training part; tells of fits that take long, in lines of the log.

    fits: of the whole tuning, the last on all rows included.
    """

    name: str
    fits: int
    validation: Validation
    done: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        users, items = self.validation.train.shape
        if items >= TOLD_ITEMS:
            text = "Baseline %s: %d fits to choose its settings and for the report, of %s users and %s items"
            logger.info(text, self.name, self.fits, f"{users:,}", f"{items:,}")

    def __call__(self, model: Recommender) -> float:
        """Fit, and rank for the validation users."""
        started = time.monotonic()
        score = ndcg(model.fit(self.validation.train), self.validation)
        self.done += 1
        now = time.monotonic()
        if now - self.told_at >= TOLD_SECONDS:
            self.told_at = now
            text = "Baseline %s: fit %d of %d took %.1f s (NDCG@10 %.4f with %s)"
            logger.info(text, self.name, self.done, self.fits, now - started, score, model.settings())
        return score


def _best(models: Iterable[Model], judge: Judge) -> Model:
    """The model with the highest score, the first of equals."""
    return max(models, key=judge)
