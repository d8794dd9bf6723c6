import random
from collections import Counter, defaultdict

import pytest

from tandem.features.negatives import _prime_from, add_negatives, sample_test_candidates

SCHEMA = "user_id long, item_id long, timestamp long, split string"


def make_items(spark, ids):
    return spark.createDataFrame([(item,) for item in ids], "item_id long")


def random_positives(num_users, items, seed):
    """Users with 1..all of the items (everybody's extremes included), a fifth of the rows in test."""
    draw = random.Random(seed)
    rows = []
    for user in range(1, num_users + 1):
        count = {1: len(items), 2: len(items) - 1, 3: 1}.get(user, draw.randint(1, len(items)))
        for index, item in enumerate(draw.sample(items, count)):
            rows.append((user, item, 1000 + index, "test" if draw.random() < 0.2 and index else "train"))
    return rows


def test_the_walks_modulus_is_the_next_prime():
    primes = [number for number in range(2, 1100) if all(number % divisor for divisor in range(2, number))]
    for number in range(1000):
        assert _prime_from(number) == next(prime for prime in primes if prime >= number)


# 1, 2 and 3 are the smallest primes, 8 has the longest way to the next one among the small, 11 is prime itself.
@pytest.mark.parametrize(("num_items", "per_positive"), [(1, 4), (2, 1), (3, 2), (8, 4), (11, 1), (24, 3)])
def test_negatives_are_exact_for_every_kind_of_user(spark, num_items, per_positive):
    items = [100 + 7 * number for number in range(num_items)]
    positives = random_positives(60, items, seed=num_items)
    frame = spark.createDataFrame(positives, SCHEMA)
    rows = add_negatives(frame, make_items(spark, items), per_positive, seed=3).collect()

    liked = defaultdict(set)
    for user, item, _, _ in positives:
        liked[user].add(item)
    assert sorted((r.user_id, r.item_id, r.timestamp, r.split) for r in rows if r.label == 1) == sorted(positives)
    negatives = [r for r in rows if r.label == 0]
    pairs = Counter((r.user_id, r.item_id) for r in rows)
    assert max(pairs.values()) == 1
    assert all(r.item_id in items and r.item_id not in liked[r.user_id] and r.timestamp == 0 for r in negatives)
    found = Counter(r.user_id for r in negatives)
    for user, own in liked.items():
        assert found[user] == min(per_positive * len(own), num_items - len(own))


def test_each_split_gets_its_share(spark):
    positives = random_positives(40, list(range(1, 31)), seed=1)
    rows = add_negatives(spark.createDataFrame(positives, SCHEMA), make_items(spark, range(1, 31)), 2, seed=3).collect()
    count = Counter((r.user_id, r.split, r.label) for r in rows)
    for user in {row[0] for row in positives}:
        test, train = count[user, "test", 1], count[user, "train", 1]
        available = min(2 * (test + train), 30 - test - train)
        assert count[user, "test", 0] == available * test // (test + train)
        assert count[user, "train", 0] == available - count[user, "test", 0]


def test_a_validation_part_gets_its_share_and_leaves_the_test_negatives_alone(spark):
    plain = [(1, item, 5, "test" if item <= 2 else "train") for item in range(1, 9)]
    marked = [(u, i, t, "validation" if i in (3, 4, 5) else s) for u, i, t, s in plain]
    items = make_items(spark, range(1, 101))
    before = add_negatives(spark.createDataFrame(plain, SCHEMA), items, 4, seed=3).collect()
    after = add_negatives(spark.createDataFrame(marked, SCHEMA), items, 4, seed=3).collect()
    assert Counter(r.split for r in after if r.label == 0) == {"test": 8, "validation": 12, "train": 12}
    assert {r.item_id for r in before if r.split == "test"} == {r.item_id for r in after if r.split == "test"}


def test_a_positive_that_is_no_candidate_keeps_its_row_and_its_negatives(spark):
    positives = spark.createDataFrame([(1, 1, 5, "train"), (1, 999, 6, "test")], SCHEMA)
    rows = add_negatives(positives, make_items(spark, range(1, 11)), 4, seed=3).collect()
    assert {(r.item_id, r.split) for r in rows if r.label == 1} == {(1, "train"), (999, "test")}
    assert Counter(r.split for r in rows if r.label == 0) == {"train": 4, "test": 4}


def test_no_negatives_wanted_gives_the_positives(spark):
    positives = spark.createDataFrame([(1, 1, 5, "train")], SCHEMA)
    rows = add_negatives(positives, make_items(spark, [1, 2, 3]), 0, seed=3).collect()
    assert [(r.user_id, r.item_id, r.label) for r in rows] == [(1, 1, 1)]


@pytest.fixture(scope="module")
def many_negatives(spark):
    """2,000 users with one positive each, 5 negatives of 50 items: (user, item) in no order."""
    positives = [(user, 1 + user % 50, 5, "train") for user in range(1, 2001)]
    rows = add_negatives(spark.createDataFrame(positives, SCHEMA), make_items(spark, range(1, 51)), 5, seed=11)
    return [(r.user_id, r.item_id) for r in rows.collect() if r.label == 0]


def test_negatives_are_uniform_over_items(many_negatives):
    count = Counter(item for _, item in many_negatives)
    expected = len(many_negatives) / 50
    chi_square = sum((count[item] - expected) ** 2 / expected for item in range(1, 51))
    # 49 degrees of freedom: 85.4 is passed by chance once in 1,000 seeds; far too even would be wrong as well.
    assert 15 < chi_square < 85.4


def test_pairs_of_a_users_negatives_are_uniform_too(many_negatives):
    of_user = defaultdict(set)
    for user, item in many_negatives:
        of_user[user].add(item)
    together = Counter((low, high) for items in of_user.values() for low in items for high in items if low < high)
    # 20,000 pairs over 1,225 cells: 16.3 each, a standard deviation of 4.
    assert len(together) == 1225
    assert max(together.values()) < 16.3 + 6 * 4


def test_users_do_not_share_their_negatives(many_negatives):
    of_user = defaultdict(set)
    for user, item in many_negatives:
        of_user[user].add(item)
    commonest = Counter(frozenset(items) for items in of_user.values()).most_common(1)[0][1]
    assert commonest <= 8


def test_which_negatives_are_test_says_nothing_about_the_item(spark):
    positives = [(u, 1 + (u + k) % 60, 5, "test" if k == 0 else "train") for u in range(1, 1001) for k in range(2)]
    rows = add_negatives(spark.createDataFrame(positives, SCHEMA), make_items(spark, range(1, 61)), 4, seed=2)
    count = Counter((r.item_id, r.split) for r in rows.collect() if r.label == 0)
    # Of about 133 negatives of an item half are test: 67 +- 6; five standard deviations.
    assert all(abs(count[i, "test"] - count[i, "train"]) < 5 * 12 for i in range(1, 61))


def test_negatives_follow_the_seed(spark):
    positives = spark.createDataFrame(random_positives(10, list(range(1, 41)), seed=1), SCHEMA)
    items = make_items(spark, range(1, 41))

    def drawn(seed, frame=positives):
        return sorted(map(tuple, add_negatives(frame, items.repartition(3), 1, seed).collect()))

    assert drawn(1) == drawn(1, positives.repartition(9))
    assert drawn(1) != drawn(2)


def test_test_candidates_are_the_positive_and_n_others(spark):
    positives = [(user, item, 0, "x") for user in (1, 2, 3) for item in range(user, user + 5)]
    tested = [(user, user, 0, "x") for user in (1, 2)]
    frame, test = spark.createDataFrame(positives, SCHEMA), spark.createDataFrame(tested, SCHEMA)
    rows = sample_test_candidates(test, frame, make_items(spark, range(1, 201)), n=99, seed=5).collect()
    for user in (1, 2):
        own = {r.item_id for r in rows if r.user_id == user and r.label == 0}
        assert len(own) == 99
        assert own.isdisjoint(range(user, user + 5))
        assert [r.item_id for r in rows if r.user_id == user and r.label == 1] == [user]
    assert {r.user_id for r in rows} == {1, 2}
    assert len(rows) == 200


def test_test_candidates_are_as_many_as_exist(spark):
    positives = spark.createDataFrame([(1, item, 0, "x") for item in range(1, 8)], SCHEMA)
    test = positives.filter("item_id = 3")
    rows = sample_test_candidates(test, positives, make_items(spark, range(1, 11)), n=99, seed=5).collect()
    assert sorted((r.item_id, r.label) for r in rows) == [(3, 1), (8, 0), (9, 0), (10, 0)]
