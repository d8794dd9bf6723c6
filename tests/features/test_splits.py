import random
from collections import Counter
from contextlib import nullcontext

import pytest

from tandem.errors import UserError
from tandem.features.splits import check_parts, split_interactions, validation_split

SCHEMA = "user_id long, item_id long, rating double, timestamp long"


def make_interactions(spark, seed=0):
    draw = random.Random(seed)
    counts = {1: 1, 2: 4, 3: 5, 4: 10, 5: 29, 6: 30}
    rows = [
        (user, item, 3.0, draw.randrange(20))
        for user, count in counts.items()
        for item in draw.sample(range(1, 41), count)
    ]
    return rows, spark.createDataFrame(rows, SCHEMA)


def sides(frame):
    return {(row.user_id, row.item_id): row.split for row in frame.collect()}


def per_user(split_of, side):
    return Counter(user for (user, _), found in split_of.items() if found == side)


def test_random_takes_the_floor_of_each_users_share(spark):
    _, interactions = make_interactions(spark)
    split_of = sides(split_interactions(interactions, "random", 0.2, seed=1))
    assert per_user(split_of, "test") == {3: 1, 4: 2, 5: 5, 6: 6}
    assert per_user(split_of, "train")[1] == 1


def test_the_floor_survives_floating_point(spark):
    interactions = spark.createDataFrame([(1, item, 1.0, 0) for item in range(100)], SCHEMA)
    split_of = sides(split_interactions(interactions, "random", 0.29, seed=1))
    assert per_user(split_of, "test") == {1: 29}


def test_random_follows_the_seed_and_nothing_else(spark):
    _, interactions = make_interactions(spark)
    first = sides(split_interactions(interactions, "random", 0.3, seed=1))
    again = sides(split_interactions(interactions.repartition(7).sort("item_id"), "random", 0.3, seed=1))
    other = sides(split_interactions(interactions, "random", 0.3, seed=2))
    assert first == again
    assert first != other


def test_random_does_not_favour_an_item(spark):
    rows = [(user, item, 1.0, 0) for user in range(400) for item in range(10)]
    split_of = sides(split_interactions(spark.createDataFrame(rows, SCHEMA), "random", 0.2, seed=3))
    taken = Counter(item for (_, item), side in split_of.items() if side == "test")
    # Each of 10 items is drawn with p = 0.2 by 400 users: 80 +- 8; five standard deviations.
    assert all(40 <= taken[item] <= 120 for item in range(10))


def test_leave_one_out_takes_the_latest(spark):
    rows = [(1, 10, 1.0, 5), (1, 11, 1.0, 9), (1, 13, 1.0, 2), (2, 10, 1.0, 7)]
    split_of = sides(split_interactions(spark.createDataFrame(rows, SCHEMA), "leave_one_out", 0.2, seed=1))
    assert [pair for pair, side in split_of.items() if side == "test"] == [(1, 11)]


def test_leave_one_out_favours_no_item_of_several_at_the_latest_time(spark):
    """Ids follow the items' age: by the larger one, users would seem to take newer items than they do."""
    rows = [(user, item, 1.0, int(item > 1)) for user in range(400) for item in range(6)]
    interactions = spark.createDataFrame(rows, SCHEMA)
    split_of = sides(split_interactions(interactions, "leave_one_out", 0.2, seed=1))
    taken = Counter(item for (_, item), side in split_of.items() if side == "test")
    # Each of 4 items is drawn with p = 0.25 by 400 users: 100 +- 8.7; five standard deviations.
    assert set(taken) == {2, 3, 4, 5}
    assert all(56 <= count <= 144 for count in taken.values())
    again = split_interactions(interactions.repartition(7).sort("item_id"), "leave_one_out", 0.2, seed=2)
    assert sides(again) == split_of


def test_leave_one_out_keeps_a_users_only_row_in_training(spark):
    _, interactions = make_interactions(spark)
    split_of = sides(split_interactions(interactions, "leave_one_out", 0.2, seed=1))
    assert split_of[next(pair for pair in split_of if pair[0] == 1)] == "train"
    assert per_user(split_of, "test") == dict.fromkeys((2, 3, 4, 5, 6), 1)


def test_temporal_cuts_all_rows_at_one_time(spark):
    rows = [(user, user, 1.0, 100 + user) for user in range(10)]
    split_of = sides(split_interactions(spark.createDataFrame(rows, SCHEMA), "temporal", 0.3, seed=1))
    assert {user for (user, _), side in split_of.items() if side == "test"} == {7, 8, 9}


def test_temporal_rows_at_the_cut_are_training(spark):
    times = [1, 2, 3, 4, 5, 6, 8, 8, 8, 9]
    rows = [(user, 1, 1.0, time) for user, time in enumerate(times)]
    split_of = sides(split_interactions(spark.createDataFrame(rows, SCHEMA), "temporal", 0.2, seed=1))
    assert {user for (user, _), side in split_of.items() if side == "test"} == {9}


def test_temporal_without_anything_later_says_so(spark):
    rows = [(user, 1, 1.0, 5) for user in range(10)]
    with pytest.raises(UserError, match=r"split: temporal finds no interaction .* use split: random or leave_one_out"):
        split_interactions(spark.createDataFrame(rows, SCHEMA), "temporal", 0.2, seed=1)


@pytest.mark.parametrize("method", ["random", "leave_one_out", "temporal"])
def test_the_split_does_not_depend_on_partitions(spark, method):
    _, interactions = make_interactions(spark)
    expected = sides(split_interactions(interactions.coalesce(1), method, 0.25, seed=4))
    assert sides(split_interactions(interactions.repartition(5, "item_id"), method, 0.25, seed=4)) == expected


@pytest.mark.parametrize("method", ["random", "leave_one_out", "temporal"])
def test_validation_comes_from_training_rows_alone(spark, method):
    _, interactions = make_interactions(spark)
    with_split = split_interactions(interactions, method, 0.25, seed=4)
    before, after = sides(with_split), sides(validation_split(with_split, method, 0.2, seed=5))
    assert {pair for pair in before if before[pair] == "test"} == {pair for pair in after if after[pair] == "test"}
    held_out, training = per_user(after, "validation"), per_user(before, "train")
    if method == "leave_one_out":
        assert held_out == {user: 1 for user, count in training.items() if count > 1}
    else:
        assert held_out == {user: count // 5 for user, count in training.items() if count >= 5}


def test_leave_one_out_validation_is_the_latest_of_what_remains(spark):
    rows = [(1, 10, 1.0, 5), (1, 11, 1.0, 8), (1, 12, 1.0, 9), (1, 13, 1.0, 2)]
    with_split = split_interactions(spark.createDataFrame(rows, SCHEMA), "leave_one_out", 0.2, seed=1)
    after = sides(validation_split(with_split, "leave_one_out", 0.2, seed=1))
    assert after == {(1, 12): "test", (1, 11): "validation", (1, 10): "train", (1, 13): "train"}


@pytest.mark.parametrize(
    ("method", "rows_per_user", "validated", "line"),
    [
        (
            "random",
            4,
            False,
            r"ncf.split: random leaves no rows to test on: .*; raise ncf.test_fraction or use another",
        ),
        ("leave_one_out", 1, False, "ncf.split: leave_one_out leaves no rows to test on: .*; use another split"),
        ("leave_one_out", 2, True, "ncf.validation_fraction: no user has enough training rows to hold one out"),
        ("random", 5, True, "ncf.validation_fraction: no user has enough training rows to hold one out"),
    ],
)
def test_a_split_that_leaves_a_part_empty_says_so(spark, method, rows_per_user, validated, line):
    rows = [(user, item, 1.0, item) for user in range(20) for item in range(rows_per_user)]
    with_split = split_interactions(spark.createDataFrame(rows, SCHEMA), method, 0.2, seed=1)
    with pytest.raises(UserError, match=line):
        check_parts(validation_split(with_split, method, 0.1, seed=1), method, validated=validated)


@pytest.mark.parametrize(("method", "tested", "validated"), [("random", 5, 12), ("leave_one_out", 2, 3)])
def test_as_many_rows_as_the_readme_says_are_enough_and_one_less_is_not(spark, method, tested, validated):
    for enough, with_validation in ((tested, False), (validated, True)):
        for rows_per_user in (enough - 1, enough):
            rows = spark.createDataFrame([(1, item, 1.0, item) for item in range(rows_per_user)], SCHEMA)
            parts = validation_split(split_interactions(rows, method, 0.2, seed=1), method, 0.1, seed=1)
            with nullcontext() if rows_per_user == enough else pytest.raises(UserError, match=r"leaves|hold one out"):
                check_parts(parts, method, validated=with_validation)


def test_one_user_with_enough_rows_is_enough(spark):
    rows = [(1, 1, 1.0, 5), *((2, item, 1.0, item) for item in range(20))]
    for method in ("random", "leave_one_out"):
        with_split = split_interactions(spark.createDataFrame(rows, SCHEMA), method, 0.2, seed=1)
        check_parts(validation_split(with_split, method, 0.1, seed=1), method, validated=True)


GIVEN = f"{SCHEMA}, split string"


def given(spark, *parts):
    rows = [(1, item, 1.0, item, part) for item, part in enumerate(parts)]
    return split_interactions(spark.createDataFrame(rows, GIVEN), "given", 0.5, seed=1)


def test_a_given_split_is_kept_with_its_validation_rows(spark):
    with_split = given(spark, "train", "validation", "test", "train", None)
    expected = {(1, 0): "train", (1, 1): "validation", (1, 2): "test", (1, 3): "train", (1, 4): "train"}
    assert sides(with_split) == expected
    assert sides(validation_split(with_split, "given", 0.5, seed=1)) == expected


def test_validation_rows_of_a_given_split_without_any_are_drawn_among_its_training_rows(spark):
    after = sides(validation_split(given(spark, *["train"] * 4, "test"), "given", 0.5, seed=1))
    assert sorted(after.values()) == ["test", "train", "train", "validation", "validation"]
    assert after[1, 4] == "test"


def test_a_log_without_a_split_of_its_own_or_without_test_rows_in_it_is_told(spark):
    with pytest.raises(UserError, match=r"^ncf.split: given needs the log's own split, and it has none"):
        split_interactions(spark.createDataFrame([(1, 1, 1.0, 1)], SCHEMA), "given", 0.5, seed=1)
    with pytest.raises(UserError, match=r"^ncf.split: given leaves no rows to test on: none of the interactions is"):
        check_parts(given(spark, "train", "validation"), "given", validated=False)


def test_without_times_one_row_of_each_user_is_left_out(spark):
    rows = [(user, item, 1.0, None) for user in range(3) for item in range(4)]
    frame = spark.createDataFrame(rows, SCHEMA)
    once = sides(split_interactions(frame, "leave_one_out", 0.2, seed=1))
    assert per_user(once, "test") == {0: 1, 1: 1, 2: 1}
    assert sides(split_interactions(frame.repartition(5), "leave_one_out", 0.2, seed=1)) == once
