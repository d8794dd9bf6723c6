"""Baselines: closed forms against naive ones, the same result twice, and evaluation on hand-made data."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from tandem.errors import UserError
from tandem.evaluation import als, recommender
from tandem.evaluation.als import Als
from tandem.evaluation.baselines import Catalogue, classification_baselines, evaluate_baselines
from tandem.evaluation.ease import Ease
from tandem.evaluation.lists import Candidates, Pairs
from tandem.evaluation.popularity import Popularity, PopularityRate
from tandem.evaluation.recommender import rank_users, score_pairs
from tandem.evaluation.tuning import Validation, hold_out, ndcg, tune_als, tune_ease
from tandem.parameters import NCFBaselineParameters

UNTUNED = NCFBaselineParameters(tune=False, als_factors=4, als_iterations=3)


def taste_matrix(users: int = 60, items: int = 40, seed: int = 0) -> sparse.csr_matrix:
    """Two tastes: even users take from the first half of the items, odd ones from the second."""
    rng = np.random.default_rng(seed)
    same = (np.arange(users)[:, None] % 2) == (np.arange(items)[None, :] >= items // 2)
    return sparse.csr_matrix((rng.random((users, items)) < np.where(same, 0.5, 0.03)).astype(np.float32))


def split_pairs(seed: int = 0) -> tuple[Pairs, Pairs]:
    parts = hold_out(taste_matrix(seed=seed), 0.2, seed)
    return Pairs(*parts.train.nonzero()), Pairs(*parts.valid.nonzero())


def test_popularity_counts_interactions() -> None:
    train = sparse.csr_matrix(np.array([[1, 1, 0], [0, 1, 0]], dtype=np.float32))
    assert Popularity().fit(train).score(np.array([1, 0, 1])).tolist() == [[1, 2, 0]] * 3


def test_popularity_rate_lies_between_share_and_base_rate() -> None:
    items = np.repeat([5, 6, 9], [40, 40, 2])
    labels = np.r_[np.ones(30), np.zeros(10), np.ones(4), np.zeros(36), np.ones(2)]
    rate = PopularityRate.fit(items, labels)
    often, seldom, rare = rate.predict(np.array([5, 6, 9]))
    assert rate.base_rate == pytest.approx(36 / 82)
    assert rate.base_rate < often < 30 / 40
    assert 4 / 40 < seldom < rate.base_rate
    assert rate.base_rate < rare < 1.0
    assert often == pytest.approx((30 + rate.prior_rows * rate.base_rate) / (40 + rate.prior_rows))


def test_popularity_rate_of_unknown_items_is_the_base_rate() -> None:
    rate = PopularityRate.fit(np.array([1, 1, 2]), np.array([1, 0, 0]))
    assert rate.predict(np.array([0, 3, 99])).tolist() == [1 / 3] * 3


def test_popularity_rate_finds_how_much_items_differ() -> None:
    """Items that differ by chance alone are smoothed strongly, items that truly differ hardly."""
    rng = np.random.default_rng(0)
    items = np.repeat(np.arange(200), 50)
    by_chance = PopularityRate.fit(items, rng.random(len(items)) < 0.2)
    truly = PopularityRate.fit(items, rng.random(len(items)) < rng.beta(1, 4, 200)[items])
    assert by_chance.prior_rows > 200
    assert truly.prior_rows == pytest.approx(5, rel=0.4)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_popularity_rate_of_one_class_or_nothing(labels: list[int]) -> None:
    rate = PopularityRate.fit(np.arange(len(labels)), np.array(labels))
    assert rate.predict(np.array([0, 7])).tolist() == [rate.base_rate] * 2


def test_ease_agrees_with_the_textbook_inverse() -> None:
    train = taste_matrix()
    x = train.toarray().astype(np.float64)
    precision = np.linalg.inv(x.T @ x + 3.0 * np.eye(x.shape[1]))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0.0)
    users = np.array([3, 0, 59])
    assert np.allclose(Ease(l2=3.0).fit(train).score(users), (x @ weights)[users], atol=1e-5)


def test_ease_weights_are_the_constrained_minimum() -> None:
    """At the minimum the gradient of |X - XB|^2 + l2 |B|^2 vanishes off the diagonal."""
    train = taste_matrix()
    x, model = train.toarray(), Ease(l2=2.0).fit(train)
    weights = np.linalg.lstsq(x, model.score(np.arange(len(x))), rcond=None)[0]
    gradient = x.T @ (x @ weights - x) + 2.0 * weights
    assert np.abs(gradient[~np.eye(len(gradient), dtype=bool)]).max() < 1e-3


def test_ease_above_its_limit_says_so() -> None:
    with pytest.raises(UserError, match=r"there are 40 items, more than ease_max_items \(39\)"):
        Ease(max_items=39).fit(taste_matrix())


def test_als_is_the_same_twice_and_silent(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)  # it warns of a threaded BLAS once per process
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second, other = (Als(factors=4, iterations=5, seed=s).fit(taste_matrix()) for s in (1, 1, 2))
    users = np.arange(60)
    assert (first.score(users) == second.score(users)).all()
    assert (first.score(users) != other.score(users)).any()
    assert capfd.readouterr() == ("", "")


def test_als_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "implicit.cpu.als", None)
    with pytest.raises(UserError, match=r"tandem-recsys\[als\]"):
        als.Als().fit(taste_matrix())


@pytest.mark.parametrize("model", [Ease(l2=5.0), Als(factors=4, alpha=2.0)], ids=["ease", "als"])
def test_models_of_taste_beat_popularity(model: Ease | Als) -> None:
    validation = hold_out(taste_matrix(), 0.2, seed=0)
    assert ndcg(model.fit(validation.train), validation) > 1.3 * ndcg(Popularity().fit(validation.train), validation)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    train = taste_matrix()
    model, users = Ease(5.0).fit(train), np.arange(60)
    pair_users, pair_items = np.random.default_rng(0).integers(0, 40, (2, 300))
    lists, scores = rank_users(model, users, train, 7), score_pairs(model, pair_users, pair_items, 40)
    assert scores == pytest.approx(model.score(users)[pair_users, pair_items])
    monkeypatch.setattr(recommender, "BLOCK_CELLS", 90)
    assert (rank_users(model, users, train, 7) == lists).all()
    assert score_pairs(model, pair_users, pair_items, 40) == pytest.approx(scores)
    row = np.repeat(users, 7)[lists.ravel() >= 0]
    assert not train[row, lists[lists >= 0]].any()


def test_hold_out_parts_the_rows_and_ignores_their_order() -> None:
    train = taste_matrix()
    parts = hold_out(train, 0.25, seed=3)
    assert (parts.train + parts.valid != train).nnz == 0
    assert parts.train.multiply(parts.valid).nnz == 0
    assert parts.valid.nnz == pytest.approx(0.25 * train.nnz, rel=0.2)
    shuffled = train.copy()
    for start, end in zip(train.indptr[:-1], train.indptr[1:], strict=True):
        shuffled.indices[start:end] = shuffled.indices[start:end][::-1]
    shuffled.has_sorted_indices = False
    assert (hold_out(shuffled, 0.25, seed=3).valid != parts.valid).nnz == 0


def test_tuned_ease_has_the_best_penalty_of_its_grid() -> None:
    validation = hold_out(taste_matrix(users=200), 0.2, seed=0)
    reached = {l2: ndcg(Ease(l2).fit(validation.train), validation) for l2 in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)}
    assert len(set(reached.values())) > 3
    assert tune_ease(Ease(l2=8.0), validation).l2 == max(reached, key=lambda l2: reached[l2])


def test_tuned_als_improves_on_a_bad_start() -> None:
    validation = hold_out(taste_matrix(users=200), 0.2, seed=0)
    bad = Als(factors=4, alpha=500.0, iterations=3)
    tuned = tune_als(bad, validation)
    assert tuned.iterations == 3
    assert ndcg(tuned.fit(validation.train), validation) > 1.05 * ndcg(bad.fit(validation.train), validation)


@pytest.mark.parametrize(("tune", "name", "fits"), [(tune_ease, "ease", 7), (tune_als, "als", 13)])
def test_long_tuning_tells_of_each_fit_and_short_tuning_of_none(
    tune: Callable[..., Any],
    name: str,
    fits: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validation, start = hold_out(taste_matrix(), 0.2, seed=0), Ease(8.0) if name == "ease" else Als(8, iterations=1)
    with caplog.at_level(logging.INFO):
        tune(start, validation)
    assert caplog.messages == []
    monkeypatch.setattr("tandem.evaluation.tuning.TOLD_SECONDS", 0.0)
    monkeypatch.setattr("tandem.evaluation.tuning.TOLD_ITEMS", 1)
    with caplog.at_level(logging.INFO):
        tune(start, validation)
    first, *told = caplog.messages
    users, items = validation.train.shape
    assert first.startswith(f"Baseline {name}: {fits} fits to choose its settings")
    assert first.endswith(f"of {users} users and {items} items")
    assert [line.partition(" took ")[0] for line in told] == [
        f"Baseline {name}: fit {number} of {fits}" for number in range(1, fits)
    ]
    assert all("NDCG@10 0." in line for line in told)


def test_validation_without_users_is_no_crash() -> None:
    train = taste_matrix()
    assert ndcg(Popularity().fit(train), Validation(train, sparse.csr_matrix(train.shape, dtype=np.float32))) == 0.0


def test_evaluation_covers_all_metrics_settings_and_seconds() -> None:
    train, test = split_pairs()
    results = evaluate_baselines(train, test, parameters=UNTUNED)
    assert list(results) == ["popularity", "ease", "als"]
    names = {f"{name}@10" for name in ("hit_rate", "ndcg", "map", "precision", "recall", "coverage")}
    assert all(set(result.metrics) == names and result.seconds > 0 for result in results.values())
    assert results["ease"].settings == {"l2": 400.0}
    assert results["als"].settings["factors"] == 4


def test_evaluation_does_not_depend_on_ids_order_or_repetition() -> None:
    train, test = split_pairs()
    plain = evaluate_baselines(train, test, parameters=UNTUNED)
    by = np.random.default_rng(0).permutation(len(train.users))
    by = np.append(by, by[:10])
    renamed = Pairs(train.users[by] * 7 + 100, train.items[by] * 3 + 50)
    moved = evaluate_baselines(renamed, Pairs(test.users * 7 + 100, test.items * 3 + 50), parameters=UNTUNED)
    assert {n: r.metrics for n, r in moved.items()} == {n: r.metrics for n, r in plain.items()}


def test_tuned_evaluation_reports_what_it_chose() -> None:
    train, test = split_pairs()
    parameters = NCFBaselineParameters(models=("ease",), ease_l2=1.0)
    result = evaluate_baselines(train, test, parameters=parameters)["ease"]
    assert result.settings["l2"] in (0.125, 0.25, 0.5, 2.0, 4.0)


def test_sampled_protocol_is_added_where_there_are_candidates() -> None:
    train, _ = split_pairs()
    matrix = Catalogue.of(train).matrix
    users, positives = np.arange(60), np.where(np.arange(60) % 2 == 0, 3, 25)
    rows = [[i for i in range(40) if i != p and not matrix[u, i]][:12] for u, p in zip(users, positives, strict=True)]
    items = np.array([[p, *negatives] for p, negatives in zip(positives, rows, strict=True)])
    candidates = Candidates(np.repeat(users, 13), items.ravel(), np.tile([1] + [0] * 12, 60))
    results = evaluate_baselines(train, Pairs(users, positives), candidates, UNTUNED)
    assert results["ease"].metrics["ndcg@10_sampled"] > results["popularity"].metrics["ndcg@10_sampled"]


def test_strangers_get_the_popularity_list_and_unknown_items_are_never_found() -> None:
    train, _ = split_pairs()
    best = np.bincount(train.items).argmax()
    test = Pairs(np.array([999, 999, 999]), np.array([best, 777, 778]))
    candidates = Candidates(np.full(12, 999), np.r_[777, np.arange(11)], np.r_[1, np.zeros(11, dtype=int)])
    for result in evaluate_baselines(train, test, candidates, UNTUNED).values():
        assert result.metrics["hit_rate@10"] == 1.0
        assert result.metrics["recall@10"] == 1 / 3
        assert result.metrics["hit_rate@10_sampled"] == 0.0


def test_ease_is_left_out_with_a_warning_when_the_catalogue_is_too_large(caplog: pytest.LogCaptureFixture) -> None:
    parameters = NCFBaselineParameters(models=("popularity", "ease"), tune=False, ease_max_items=10)
    with caplog.at_level(logging.WARNING):
        assert list(evaluate_baselines(*split_pairs(), parameters=parameters)) == ["popularity"]
    assert "ease_max_items (10)" in caplog.text


def test_no_training_interactions_is_a_clear_error() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    with pytest.raises(UserError, match="no training interactions"):
        evaluate_baselines(Pairs(nothing, nothing), Pairs(nothing, nothing))


def test_no_test_pairs_means_no_metrics() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    results = evaluate_baselines(split_pairs()[0], Pairs(nothing, nothing), parameters=UNTUNED)
    assert all(set(result.metrics.values()) == {None} for result in results.values())


def test_classification_baselines_judge_the_test_rows() -> None:
    rng = np.random.default_rng(0)
    items = rng.integers(0, 30, 4000)
    labels = rng.random(4000) < (items + 1) / 60
    found = classification_baselines(items[:3000], labels[:3000], items[3000:], labels[3000:])
    assert found["constant"]["auc"] == 0.5
    assert found["popularity"]["auc"] > 0.6
    assert found["popularity"]["log_loss"] < found["constant"]["log_loss"]
