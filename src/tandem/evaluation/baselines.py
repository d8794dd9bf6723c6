"""What any model is reported beside: classical models on the same rows."""

import logging
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from tandem.errors import UserError
from tandem.evaluation import Metrics
from tandem.evaluation.als import Als
from tandem.evaluation.classification import classification_metrics, constant_predictor
from tandem.evaluation.ease import Ease
from tandem.evaluation.lists import PADDING, AnyIds, Candidates, Ids, Lists, Pairs, Scores
from tandem.evaluation.popularity import Popularity, PopularityRate
from tandem.evaluation.ranking import ranking_metrics, sampled_ranking_metrics
from tandem.evaluation.recommender import Recommender, rank_users, score_pairs
from tandem.evaluation.tuning import hold_out, tune_als, tune_ease
from tandem.parameters import NCFBaselineParameters

logger = logging.getLogger(__name__)

VALIDATION_FRACTION = 0.2
"""With a tenth of ml-100k the best l2 of EASE drowned in noise; with a fifth it is that of the test rows."""


@dataclass(frozen=True)
class BaselineResult:
    """One baseline on the test rows: its metrics, the settings it ran with, and seconds for all of it."""

    metrics: Metrics
    settings: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Catalogue:
    """Training interactions as a 0/1 matrix, with the ids of its rows and columns, ascending."""

    user_ids: Ids
    item_ids: Ids
    matrix: sparse.csr_matrix

    @classmethod
    def of(cls, train: Pairs) -> "Catalogue":
        """Of training interactions; a repeated pair counts once.

        Raises:
            UserError: there are none.
        """
        if not len(train.users):
            raise UserError("baselines: there are no training interactions to learn from; check the split")
        user_ids, rows = np.unique(np.asarray(train.users, dtype=np.int64), return_inverse=True)
        item_ids, columns = np.unique(np.asarray(train.items, dtype=np.int64), return_inverse=True)
        ones = np.ones(len(rows), dtype=np.float32)
        matrix = sparse.csr_matrix((ones, (rows, columns)), shape=(len(user_ids), len(item_ids)))
        matrix.data[:] = 1.0
        return cls(user_ids, item_ids, matrix)


def evaluate_baselines(
    train: Pairs,
    test: Pairs,
    candidates: Candidates | None = None,
    parameters: NCFBaselineParameters | None = None,
    *,
    k: int = 10,
    seed: int = 0,
) -> dict[str, BaselineResult]:
    """Fit each baseline to the training interactions and rank for the test users.

    The lists leave out what a user took in training. A test user without training interactions gets the popularity
    list from every baseline. An item without training interactions is never recommended, and as a candidate it scores
    below all others. EASE above ``ease_max_items`` is left out with a warning.

    Args:
        train: training positives, in ids of any kind.
        test: held-out positives, in the same ids.
        candidates: rows of the 99-negatives protocol, in the same ids; adds ``…@k_sampled``.
        parameters: which baselines with which settings, and whether to tune them.
        k: length of the lists.
        seed: of ALS and of the validation part that settings are tuned on.

    Returns:
        Name ("popularity", "ease", "als") to result, in the order of ``parameters.models``.
    """
    parameters = parameters or NCFBaselineParameters()
    catalogue = Catalogue.of(train)
    popularity = Popularity().fit(catalogue.matrix)
    results: dict[str, BaselineResult] = {}
    for name in parameters.models:
        if name == "ease" and len(catalogue.item_ids) > parameters.ease_max_items:
            logger.warning("Baseline ease left out: more items than ease_max_items (%d)", parameters.ease_max_items)
            continue
        started = time.perf_counter()
        model = popularity if name == "popularity" else _fitted(name, catalogue.matrix, parameters, seed)
        lists = _lists(model, popularity, catalogue, np.unique(np.asarray(test.users, dtype=np.int64)), k)
        metrics = ranking_metrics(lists, test, len(catalogue.item_ids), k)
        if candidates is not None:
            scores = _candidate_scores(model, popularity, catalogue, candidates)
            metrics |= sampled_ranking_metrics(candidates, scores, k)
        results[name] = BaselineResult(metrics, model.settings(), time.perf_counter() - started)
        logger.info("Baseline %s: %.1f s, %s", name, results[name].seconds, results[name].settings or "nothing to set")
    return results


def classification_baselines(
    train_items: AnyIds, train_labels: ArrayLike, test_items: AnyIds, test_labels: ArrayLike
) -> dict[str, Metrics]:
    """Classification metrics of "constant" (the training share of positives) and "popularity" on the test rows."""
    rate = PopularityRate.fit(train_items, train_labels)
    return {
        "constant": classification_metrics(test_labels, constant_predictor(rate.base_rate, len(test_items))),
        "popularity": classification_metrics(test_labels, rate.predict(test_items)),
    }


def _fitted(name: str, train: sparse.csr_matrix, parameters: NCFBaselineParameters, seed: int) -> Recommender:
    if name == "ease":
        ease = Ease(parameters.ease_l2, parameters.ease_max_items)
        return (tune_ease(ease, hold_out(train, VALIDATION_FRACTION, seed)) if parameters.tune else ease).fit(train)
    als = Als(
        parameters.als_factors, parameters.als_regularization, parameters.als_alpha, parameters.als_iterations, seed
    )
    return (tune_als(als, hold_out(train, VALIDATION_FRACTION, seed)) if parameters.tune else als).fit(train)


def _lists(model: Recommender, popularity: Popularity, catalogue: Catalogue, user_ids: Ids, k: int) -> Lists:
    """Lists of these users, in ids: the known by the model, the others by popularity."""
    rows = _index(catalogue.user_ids, user_ids)
    items = np.empty((len(user_ids), k), dtype=np.int64)
    items[rows >= 0] = rank_users(model, rows[rows >= 0], catalogue.matrix, k)
    nothing_seen = sparse.csr_matrix((1, len(catalogue.item_ids)), dtype=np.float32)
    items[rows < 0] = rank_users(popularity, np.zeros(1, dtype=np.int64), nothing_seen, k)
    known = items != PADDING
    items[known] = catalogue.item_ids[items[known]]
    user_column = np.repeat(user_ids, known.sum(axis=1))
    return Lists(user_column, items[known], np.nonzero(known)[1] + 1)


def _candidate_scores(
    model: Recommender, popularity: Popularity, catalogue: Catalogue, candidates: Candidates
) -> Scores:
    users = _index(catalogue.user_ids, np.asarray(candidates.users, dtype=np.int64))
    items = _index(catalogue.item_ids, np.asarray(candidates.items, dtype=np.int64))
    scores = np.full(len(users), -np.inf)
    for scorer, chosen in ((model, users >= 0), (popularity, users < 0)):
        scored = chosen & (items >= 0)
        scores[scored] = score_pairs(scorer, users[scored], items[scored], len(catalogue.item_ids))
    return scores


def _index(ids: Ids, wanted: Ids) -> Ids:
    """Position of each wanted id among the ascending ids, -1 where it is not one of them."""
    if not len(ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    index = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[index] == wanted, index, -1)
