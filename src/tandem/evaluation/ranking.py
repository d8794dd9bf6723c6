"""How good ranked lists are.

Two protocols: *full* ranking, where a list is the best k of all items that the user has not seen (``lists.top_k``
makes one of scores), and *sampled* ranking, where each positive is ranked among the user's own sampled negatives.
Nothing here depends on the order of the rows.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tandem.evaluation import Metrics
from tandem.evaluation.lists import Candidates, Lists, Pairs, checked_scores

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

_FULL = ("hit_rate", "ndcg", "map", "precision", "recall")
_SAMPLED = ("hit_rate", "ndcg")


@dataclass(frozen=True)
class RankingSums:
    """Per-user values of full ranking summed over users; parts of disjoint users can be added.

    ``sums`` holds the sums of hit rate, NDCG, average precision, precision and recall at ``k``; ``recommended`` the
    distinct items in the lists, ascending; ``catalogue_size`` how many items could have been recommended.
    """

    k: int
    users: float
    sums: Floats
    recommended: Ids
    catalogue_size: int

    def __add__(self, other: Self) -> Self:
        if (self.k, self.catalogue_size) != (other.k, other.catalogue_size):
            raise ValueError("sums of different k or catalogues cannot be added")
        recommended = np.union1d(self.recommended, other.recommended)
        return type(self)(self.k, self.users + other.users, self.sums + other.sums, recommended, self.catalogue_size)

    def vector(self) -> Floats:
        """Users and sums as one float64 vector of 6, for an allreduce (coverage needs the items themselves)."""
        return np.concatenate([[self.users], self.sums])

    def metrics(self) -> Metrics:
        """Means over users, and coverage; ``None`` without users."""
        coverage = len(self.recommended) / self.catalogue_size if self.users and self.catalogue_size else None
        return metrics_from_vector(self.vector(), self.k) | {f"coverage@{self.k}": coverage}


@dataclass(frozen=True)
class SampledRankingSums:
    """Hit rate and NDCG of sampled ranking summed over positives; parts of disjoint users can be added."""

    k: int
    positives: float
    sums: Floats

    def __add__(self, other: Self) -> Self:
        if self.k != other.k:
            raise ValueError("sums of different k cannot be added")
        return type(self)(self.k, self.positives + other.positives, self.sums + other.sums)

    def vector(self) -> Floats:
        """Positives and sums as one float64 vector of 3, for an allreduce."""
        return np.concatenate([[self.positives], self.sums])

    def metrics(self) -> Metrics:
        """Means over positives; ``None`` without any."""
        return metrics_from_vector(self.vector(), self.k)


def metrics_from_vector(vector: Floats, k: int) -> Metrics:
    """Means from the (allreduced) vector of ``RankingSums`` or, being shorter, of ``SampledRankingSums``."""
    names, suffix = (_FULL, "") if len(vector) == 1 + len(_FULL) else (_SAMPLED, "_sampled")
    count = float(vector[0])
    means = vector[1:] / count if count else [None] * len(names)
    return {
        f"{name}@{k}{suffix}": None if mean is None else float(mean) for name, mean in zip(names, means, strict=True)
    }


def ranking_metrics(lists: Lists, relevant: Pairs, catalogue_size: int, k: int = 10) -> Metrics:
    """``ranking_sums(...).metrics()``: the metrics of full ranking at ``k``."""
    return ranking_sums(lists, relevant, catalogue_size, k).metrics()


def ranking_sums(lists: Lists, relevant: Pairs, catalogue_size: int, k: int = 10) -> RankingSums:
    """Compare lists with what the users really took.

    Means are over the users with at least one relevant item; one of them without a list counts as zero, a list of
    anybody else is left out. With hits among the first k and R the user's relevant items:

    - ``hit_rate@k``: 1 with at least one hit; ``precision@k``: hits / k; ``recall@k``: hits / R;
    - ``ndcg@k``: binary gain, ``sum 1/log2(1 + rank)`` over hits, divided by the same over ranks 1..min(k, R)
      (Jarvelin & Kekalainen 2002, with the ideal list cut at k too: 1 is always in reach and never passed);
    - ``map@k``: ``sum of precision@rank`` over hits, divided by min(k, R);
    - ``coverage@k``: distinct items in those lists / ``catalogue_size``.

    Args:
        lists: what was recommended; ranks beyond ``k`` are left out.
        relevant: the held-out pairs; a repeated pair counts once.
        catalogue_size: how many items could have been recommended.
        k: length of the lists.

    Raises:
        ValueError: a list has an item or a rank twice, or a rank below 1: such a list would pass an NDCG of 1.
    """
    users, items, ranks = _ids(lists.users), _ids(lists.items), _ids(lists.ranks)
    evaluated, pair_users, relevant_keys, item_ids = _relevant_pairs(relevant, items)
    kept = (ranks <= k) & np.isin(users, evaluated)
    users, items, ranks = np.searchsorted(evaluated, users[kept]), items[kept], ranks[kept]
    keys = users * len(item_ids) + np.searchsorted(item_ids, items)
    _check_lists(users, keys, ranks, k)
    hits = np.zeros((len(evaluated), k), dtype=np.float64)
    hits[users, ranks - 1] = np.isin(keys, relevant_keys)
    sums = _sums_of_hits(hits, np.bincount(pair_users, minlength=len(evaluated)), k)
    return RankingSums(k, float(len(evaluated)), sums, np.unique(items), catalogue_size)


def sampled_ranking_metrics(candidates: Candidates, scores: ArrayLike, k: int = 10) -> Metrics:
    """``sampled_ranking_sums(...).metrics()``: hit rate and NDCG at ``k`` of the 99-negatives protocol."""
    return sampled_ranking_sums(candidates, scores, k).metrics()


def sampled_ranking_sums(candidates: Candidates, scores: ArrayLike, k: int = 10) -> SampledRankingSums:
    """Rank each positive among the same user's negatives (He et al. 2017, section 4.1, with 99 of them).

    The rank of a positive is 1 + the number of negatives that score at least as high: a tie is lost, so a constant
    score reaches nothing. With one positive, NDCG is ``1/log2(1 + rank)`` within k. A user's other positives are not
    among the candidates of a positive. A (user, item) pair counts once, as positive if it is that in any row: a
    positive drawn among its own negatives too does not compete with itself. A positive with fewer than k negatives
    could not miss and is left out.

    Args:
        candidates: n rows, each user's positive and its negatives.
        scores: one per row, higher is better, shape [n].
        k: ranks that count as a hit.

    Raises:
        UserError: a score is not a number.
    """
    checked = np.asarray(checked_scores(np.asarray(scores)), dtype=np.float64)
    user, label, score = _distinct_candidates(candidates, checked)
    order = np.lexsort((label, -score, user))
    user, negative = user[order], label[order] == 0
    negatives_so_far = np.cumsum(negative)
    before_user = (negatives_so_far - negative)[np.searchsorted(user, user, side="left")]
    of_user = negatives_so_far[np.searchsorted(user, user, side="right") - 1] - before_user
    ranks = (1 + negatives_so_far - before_user)[~negative & (of_user >= k)]
    ranks_hit = ranks[ranks <= k]
    sums = np.array([len(ranks_hit), (1.0 / np.log2(1.0 + ranks_hit)).sum()], dtype=np.float64)
    return SampledRankingSums(k, float(len(ranks)), sums)


def _distinct_candidates(candidates: Candidates, score: Floats) -> tuple[Ids, Ids, Floats]:
    """User, label and score, one row per (user, item): positive if it is that in any row, with the best score."""
    user, item, label = _ids(candidates.users), _ids(candidates.items), _ids(candidates.labels)
    order = np.lexsort((-score, -label, item, user))
    user, item, label, score = user[order], item[order], label[order], score[order]
    first = np.ones(len(user), dtype=bool)
    first[1:] = (np.diff(user) != 0) | (np.diff(item) != 0)
    return user[first], label[first], score[first]


def _ids(values: ArrayLike) -> Ids:
    return np.asarray(values, dtype=np.int64).ravel()


def _relevant_pairs(relevant: Pairs, listed: Ids) -> tuple[Ids, Ids, Ids, Ids]:
    """Distinct users; of each distinct pair the user's index and its key; and the item ids that keys are made of.

    A key is user index * number of item ids + item index.
    """
    users, items = _ids(relevant.users), _ids(relevant.items)
    evaluated, item_ids = np.unique(users), np.union1d(items, listed)
    keys = np.unique(np.searchsorted(evaluated, users) * len(item_ids) + np.searchsorted(item_ids, items))
    return evaluated, keys // max(1, len(item_ids)), keys, item_ids


def _check_lists(users: Ids, keys: Ids, ranks: Ids, k: int) -> None:
    if len(ranks) and ranks.min() < 1:
        raise ValueError(f"lists: a rank of {ranks.min()}; ranks start at 1")
    if len(np.unique(keys)) < len(keys):
        raise ValueError("lists: an item stands twice in the list of one user")
    if len(np.unique(users * k + ranks)) < len(ranks):
        raise ValueError("lists: a rank stands twice in the list of one user")


def _sums_of_hits(hits: Floats, relevant: Ids, k: int) -> Floats:
    """Sums over users of the five metrics; ``hits`` is 0 or 1, shape [users, k], ``relevant`` at least 1."""
    ranks = np.arange(1, k + 1)
    discounts = 1.0 / np.log2(1.0 + ranks)
    reachable, found = np.minimum(relevant, k), hits.sum(axis=1)
    gains = np.cumsum(hits * discounts, axis=1)[:, -1]  # added up as the ideal is, so that 1 is 1 to the last bit
    ndcg = gains / np.cumsum(discounts)[reachable - 1]
    average_precision = (hits * np.cumsum(hits, axis=1) / ranks).sum(axis=1) / reachable
    per_user = (found > 0, ndcg, average_precision, found / k, found / relevant)
    return np.array([float(np.sum(values)) for values in per_user])
