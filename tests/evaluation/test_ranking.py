"""Ranking metrics: hand-computed, checked against scikit-learn and a plain loop, and independent of sharding."""

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from tandem.errors import UserError
from tandem.evaluation.lists import Candidates, Lists, Pairs
from tandem.evaluation.ranking import (
    metrics_from_vector,
    ranking_metrics,
    ranking_sums,
    sampled_ranking_metrics,
    sampled_ranking_sums,
)


def lists_of(*rows: tuple[int, list[int]]) -> Lists:
    triples = [(user, item, rank) for user, items in rows for rank, item in enumerate(items, 1)]
    return Lists(*np.array(triples, dtype=np.int64).reshape(-1, 3).T)


def pairs_of(*rows: tuple[int, list[int]]) -> Pairs:
    return Pairs(*np.array([(u, i) for u, items in rows for i in items], dtype=np.int64).reshape(-1, 2).T)


def test_by_hand() -> None:
    lists = lists_of((1, [10, 11, 12]), (2, [10, 13, 14]))
    relevant = pairs_of((1, [11, 12, 15, 16]), (2, [20]))
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert ranking_metrics(lists, relevant, catalogue_size=20, k=3) == pytest.approx(
        {
            "hit_rate@3": 1 / 2,
            "ndcg@3": (1 / np.log2(3) + 1 / np.log2(4)) / ideal / 2,
            "map@3": (1 / 2 + 2 / 3) / 3 / 2,
            "precision@3": 2 / 3 / 2,
            "recall@3": 2 / 4 / 2,
            "coverage@3": 5 / 20,
        }
    )


def test_perfect_lists_reach_exactly_one() -> None:
    """Also with fewer, as many and more relevant items than k: the ideal list is cut at k."""
    relevant = pairs_of(*((n, list(range(n))) for n in range(1, 25)))
    lists = lists_of(*((n, list(range(n))[:10] + [100 + i for i in range(10 - n)]) for n in range(1, 25)))
    found = ranking_metrics(lists, relevant, 200)
    assert found["ndcg@10"] == found["map@10"] == found["hit_rate@10"] == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_ndcg_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.random((30, 40)), rng.random((30, 40)) < 0.2
    best = np.argsort(-scores, axis=1)[:, :10]
    lists, relevant = Lists.of_matrix(np.arange(30), best), Pairs(*np.nonzero(truth))
    assert ranking_metrics(lists, relevant, 40)["ndcg@10"] == pytest.approx(ndcg_score(truth, scores, k=10))


@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_agree_with_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    held_out = {u: set(rng.choice(30, rng.integers(1, 15), replace=False).tolist()) for u in range(20)}
    ranked = {u: rng.permutation(30)[: rng.integers(0, 12)].tolist() for u in range(5, 25)}
    k, rows = 8, []
    for user, relevant in held_out.items():
        hits = [item in relevant for item in ranked.get(user, [])[:k]]
        gain = sum(1 / np.log2(rank + 2) for rank, hit in enumerate(hits) if hit)
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(k, len(relevant))))
        precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
        found = sum(hits)
        rows.append(
            [found > 0, gain / ideal, sum(precisions) / min(k, len(relevant)), found / k, found / len(relevant)]
        )
    metrics = ranking_metrics(
        lists_of(*ranked.items()), pairs_of(*((u, list(items)) for u, items in held_out.items())), 30, k
    )
    assert list(metrics.values())[:5] == pytest.approx(np.mean(rows, axis=0).tolist())
    shown = {item for user in held_out for item in ranked.get(user, [])[:k]}
    assert metrics["coverage@8"] == len(shown) / 30


def test_users_without_a_list_count_as_zero_and_others_are_left_out() -> None:
    relevant = pairs_of((1, [10]), (2, [10]))
    found = ranking_metrics(lists_of((1, [10]), (9, [10, 77])), relevant, 4, k=1)
    assert found["hit_rate@1"] == found["ndcg@1"] == 0.5
    assert found["coverage@1"] == 1 / 4


def test_a_repeated_relevant_pair_counts_once() -> None:
    once, twice = pairs_of((1, [10, 11])), pairs_of((1, [10, 10, 11]))
    lists = lists_of((1, [10, 12]))
    assert ranking_metrics(lists, twice, 9) == ranking_metrics(lists, once, 9)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (Lists(np.array([1, 1]), np.array([5, 5]), np.array([1, 2])), "an item stands twice"),
        (Lists(np.array([1, 1]), np.array([5, 6]), np.array([1, 1])), "a rank stands twice"),
        (Lists(np.array([1]), np.array([5]), np.array([0])), "ranks start at 1"),
    ],
)
def test_lists_that_would_pass_an_ndcg_of_one_are_refused(lists: Lists, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranking_metrics(lists, pairs_of((1, [5])), 10)


def test_nothing_relevant_means_no_metrics() -> None:
    assert set(ranking_metrics(lists_of((1, [1])), pairs_of(), 10).values()) == {None}
    empty = sampled_ranking_metrics(Candidates(*np.zeros((3, 0), dtype=np.int64)), [])
    assert empty == {"hit_rate@10_sampled": None, "ndcg@10_sampled": None}


def test_no_lists_at_all_score_zero() -> None:
    found = ranking_metrics(lists_of(), pairs_of((1, [1])), 10)
    assert set(found.values()) == {0.0}


matrices = st.tuples(st.integers(1, 12), st.integers(11, 20), st.integers(0, 2**32 - 1))


@given(matrices, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_shards_of_users_add_up_and_never_pass_one(size: tuple[int, int, int], shards: int) -> None:
    """Ranks that hold different users get the figures of one rank (issue 7386 of the reference: NDCG by batch)."""
    users, items, seed = size
    rng = np.random.default_rng(seed)
    best = rng.random((users, items)).argsort(axis=1)[:, :10]
    relevant_user, relevant_item = np.nonzero(rng.random((users, items)) < 0.3)
    shard = rng.integers(0, shards, users)
    whole = ranking_sums(Lists.of_matrix(np.arange(users), best), Pairs(relevant_user, relevant_item), items)
    parts = []
    for s in range(shards):
        own, mine = np.flatnonzero(shard == s), shard[relevant_user] == s
        relevant = Pairs(relevant_user[mine], relevant_item[mine])
        parts.append(ranking_sums(Lists.of_matrix(own, best[own]), relevant, items))
    added = reduce(add, parts)
    assert added.metrics() == pytest.approx(whole.metrics(), abs=1e-12)
    assert all(value is None or 0.0 <= value <= 1.0 for value in whole.metrics().values())
    summed = np.sum([part.vector() for part in parts], axis=0)
    without_coverage = {n: v for n, v in whole.metrics().items() if n != "coverage@10"}
    assert metrics_from_vector(summed, 10) == pytest.approx(without_coverage, abs=1e-12)


@given(matrices)
@settings(max_examples=50, deadline=None)
def test_order_of_rows_does_not_matter(size: tuple[int, int, int]) -> None:
    users, items, seed = size
    rng = np.random.default_rng(seed)
    lists = Lists.of_matrix(np.arange(users), rng.random((users, items)).argsort(axis=1)[:, :10])
    relevant = np.nonzero(rng.random((users, items)) < 0.3)
    by, other = rng.permutation(len(lists.users)), rng.permutation(len(relevant[0]))
    shuffled = ranking_metrics(
        Lists(lists.users[by], lists.items[by], lists.ranks[by]), Pairs(relevant[0][other], relevant[1][other]), items
    )
    assert shuffled == ranking_metrics(lists, Pairs(*relevant), items)


def test_sums_of_different_lists_do_not_add() -> None:
    lists, relevant = lists_of((1, [1])), pairs_of((1, [1]))
    with pytest.raises(ValueError, match="different k"):
        ranking_sums(lists, relevant, 5, k=1) + ranking_sums(lists, relevant, 5, k=2)


# The 99-negatives protocol.


def candidates(positive: int = 0, negatives: int = 99, user: int = 1) -> Candidates:
    items = [positive, *range(1000, 1000 + negatives)]
    return Candidates(np.full(len(items), user), np.array(items), np.array([1] + [0] * negatives))


@pytest.mark.parametrize(
    ("better", "hit", "ndcg"), [(0, 1, 1), (1, 1, 1 / np.log2(3)), (9, 1, 1 / np.log2(11)), (10, 0, 0)]
)
def test_sampled_by_hand(better: int, hit: float, ndcg: float) -> None:
    scores = [0.5] + [0.9] * better + [0.1] * (99 - better)
    expected = {"hit_rate@10_sampled": hit, "ndcg@10_sampled": ndcg}
    assert sampled_ranking_metrics(candidates(), scores) == pytest.approx(expected)


def test_a_constant_score_reaches_nothing() -> None:
    assert set(sampled_ranking_metrics(candidates(), np.full(100, 0.7)).values()) == {0.0}
    few = candidates(negatives=5)  # could not miss: left out, not counted as a hit
    assert set(sampled_ranking_metrics(few, np.full(6, 0.7)).values()) == {None}


def test_a_positive_among_its_own_negatives_counts_once() -> None:
    """In the published negatives of He et al. it happens: the copy must not be a tie that the positive loses."""
    clean = candidates(positive=7)
    users, items, labels = clean.users.copy(), clean.items.copy(), clean.labels
    items[50] = 7  # a negative that is the positive itself
    scores = np.where(items == 7, 0.9, 0.1)
    assert sampled_ranking_metrics(Candidates(users, items, labels), scores)["ndcg@10_sampled"] == 1.0
    items[51] = items[52]  # and a negative drawn twice is one negative
    scores = np.where(items == items[52], 0.95, scores)
    assert sampled_ranking_metrics(Candidates(users, items, labels), scores)["ndcg@10_sampled"] == 1 / np.log2(3)


def test_sampled_not_a_number_is_refused() -> None:
    """Compared with anything it is not greater, so a diverged model would rank every positive first."""
    with pytest.raises(UserError, match=r"100 of 100 are not a number.*learning rate"):
        sampled_ranking_metrics(candidates(), np.full(100, np.nan))


@given(st.integers(1, 8), st.integers(10, 20), st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_sampled_shards_add_up_in_any_order(users: int, negatives: int, seed: int, shards: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [candidates(0, negatives, user) for user in range(users)]
    user, item, label = (np.concatenate([getattr(row, n) for row in rows]) for n in ("users", "items", "labels"))
    scores = np.round(rng.random(len(user)), 1)
    whole = sampled_ranking_sums(Candidates(user, item, label), scores)
    order = rng.permutation(len(user))
    parts = []
    for shard in range(shards):
        mine = order[user[order] % shards == shard]
        parts.append(sampled_ranking_sums(Candidates(user[mine], item[mine], label[mine]), scores[mine]))
    assert reduce(add, parts).metrics() == pytest.approx(whole.metrics())
    assert metrics_from_vector(np.sum([p.vector() for p in parts], axis=0), 10) == pytest.approx(whole.metrics())
    ranks = [1 + np.sum(scores[(user == u) & (label == 0)] >= scores[(user == u) & (label == 1)]) for u in range(users)]
    assert whole.metrics()["hit_rate@10_sampled"] == pytest.approx(np.mean(np.array(ranks) <= 10))
