"""The data defects N4 to N7 of the reference NCF tutorial, each shown absent from the whole way raw -> rows."""

import random

import pytest

from tandem.features.fitting import fit_feature_spec, recipes
from tandem.features.layout import shuffled
from tandem.features.negatives import add_negatives, sample_test_candidates
from tandem.features.splits import split_interactions
from tandem.features.tables import encode_rows, item_features, user_features
from tandem.sources.movielens import movielens_schema

MOVIELENS = recipes(movielens_schema(2).user_attributes, movielens_schema(2).item_attributes)
# What decides the number of partitions behind a shuffle.
PLANNING = ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")
GENRES = ["Comedy", "Drama", "Western"]


@pytest.fixture(scope="module")
def raw(spark):
    """50 users, 30 items with ids 3, 6, 9 ...; nobody ever rated items 93 and 96; item 99 only in a test row."""
    draw = random.Random(7)
    ratings = [
        (user, 3 * item, 3.0, draw.randrange(1000))
        for user in range(1, 51)
        for item in draw.sample(range(1, 31), draw.randint(5, 20))
    ]
    users = [(user, draw.choice("FM"), draw.randint(10, 70), f"job{user % 4}", f"{user % 9}") for user in range(1, 51)]
    items = [(3 * item, f"title {item}", 1990, draw.sample(GENRES, draw.randint(0, 3))) for item in range(1, 34)]
    frames = (
        spark.createDataFrame(ratings, "user_id long, item_id long, rating double, timestamp long"),
        spark.createDataFrame(users, "user_id long, gender string, age int, occupation string, zip_code string"),
        spark.createDataFrame(items, "item_id long, title string, year int, genres array<string>"),
    )
    return tuple(frame.localCheckpoint() for frame in frames)


def prepare(ratings, users, items, method="random", seed=1, cached=True):
    """Both parts as they are written, the spec, and the frames in between."""
    with_split = split_interactions(ratings, method, 0.25, seed)
    with_split = with_split.localCheckpoint() if cached else with_split
    spec = fit_feature_spec(with_split, users, items, MOVIELENS)
    user_table, item_table = user_features(with_split, users, spec), item_features(with_split, items, spec)
    if cached:
        user_table, item_table = user_table.localCheckpoint(), item_table.cache()
    labelled = add_negatives(with_split, item_table, 4, seed)
    encoded = encode_rows(labelled, user_table, item_table, spec, users=users, items=items)
    encoded = encoded.localCheckpoint() if cached else encoded
    parts = {part: shuffled(encoded.filter(encoded.split == part).drop("split"), seed, 4) for part in ("train", "test")}
    return parts, spec, with_split, item_table


@pytest.fixture(scope="module")
def random_split(raw):
    return prepare(*raw)


@pytest.fixture(scope="module")
def left_one_out(raw):
    return prepare(*raw, method="leave_one_out")


def content(parts):
    return {
        name: [[tuple(map(str, row)) for row in part] for part in frame.rdd.glom().collect()]
        for name, frame in parts.items()
    }


def test_n4_every_action_sees_the_same_rows_and_train_and_test_never_meet(raw):
    parts, *_ = prepare(*raw, cached=False)
    first, second = content(parts), content(parts)
    assert first == second
    pairs = {name: [(row[0], row[1]) for part in files for row in part] for name, files in first.items()}
    assert set(pairs["train"]).isdisjoint(pairs["test"])
    assert all(len(set(found)) == len(found) for found in pairs.values())


def test_n4_the_rows_are_the_same_under_any_partitioning(spark, raw, random_split):
    expected = content(random_split[0])
    before = {name: spark.conf.get(name) for name in PLANNING}
    try:
        for partitions, adaptive in ((1, "true"), (7, "false")):
            spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
            spark.conf.set("spark.sql.adaptive.enabled", adaptive)
            moved = [frame.repartition(partitions + 2).sortWithinPartitions(frame.columns[1]) for frame in raw]
            assert content(prepare(*moved)[0]) == expected
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def test_n5_leave_one_out_has_candidates_that_rank_one_positive(raw, left_one_out):
    ratings, *_ = raw
    _, _, with_split, item_table = left_one_out
    test = with_split.filter("split = 'test'")
    rows = sample_test_candidates(test, with_split, item_table, n=9, seed=1).collect()
    rated = {(row.user_id, row.item_id) for row in ratings.collect()}
    for user in range(1, 51):
        own = [row for row in rows if row.user_id == user]
        assert sorted(row.label for row in own) == [0] * 9 + [1]
        assert all((user, row.item_id) not in rated for row in own if row.label == 0)


def test_n5_negatives_of_training_are_never_test_positives(left_one_out):
    parts, _, with_split, _ = left_one_out
    tested = {(row.user_id, row.item_id) for row in with_split.filter("split = 'test'").collect()}
    drawn = {(row.user_id, row.item_id) for row in parts["train"].filter("label = 0").collect()}
    assert tested
    assert tested.isdisjoint(drawn)


def test_n6_fitting_never_sees_a_test_row(spark, raw):
    ratings, users, items = raw
    with_split = split_interactions(ratings, "random", 0.25, 1)
    stranger = spark.createDataFrame([(777, 99, 1.0, 5, "test")], with_split.schema)
    odd_user = spark.createDataFrame([(777, "Z", 200, "astronaut", "00000")], users.schema)
    spec = fit_feature_spec(with_split, users, items, MOVIELENS)
    assert fit_feature_spec(with_split.union(stranger), users.union(odd_user), items, MOVIELENS) == spec
    assert fit_feature_spec(with_split.filter("split = 'train'"), users, items, MOVIELENS) == spec


def test_n6_what_only_the_test_rows_hold_is_id_zero(spark, raw):
    ratings, users, items = raw
    with_split = split_interactions(ratings, "random", 0.25, 1)
    stranger = spark.createDataFrame([(777, 99, 1.0, 5, "test")], with_split.schema)
    odd_user = spark.createDataFrame([(777, "Z", 200, "astronaut", "00000")], users.schema)
    with_split, users = with_split.union(stranger), users.union(odd_user)
    spec = fit_feature_spec(with_split, users, items, MOVIELENS)
    tables = user_features(with_split, users, spec), item_features(with_split, items, spec)
    row = encode_rows(stranger.select("user_id", "item_id"), *tables, spec, users=users, items=items).first()
    assert (row.user, row.item, row.gender, row.occupation, row.zip_code, row.age) == (0, 0, 0, 0, 0, 1.0)
    assert tables[0].filter("user = 0 or user_id = 777").count() == 0


def test_n7_negatives_are_real_items_only(random_split):
    parts, _, with_split, item_table = random_split
    trained = {row.item_id for row in with_split.filter("split = 'train'").collect()}
    for frame in parts.values():
        drawn = [(row.item_id, row.item) for row in frame.filter("label = 0").collect()]
        assert drawn
        assert all(item_id in trained and item >= 1 for item_id, item in drawn)
    assert {row.item_id for row in item_table.collect()} == trained


def test_n7_genres_are_a_bag_and_not_one_id_per_combination(raw, random_split):
    _, spec, _, item_table = random_split
    assert set(spec.feature("genres").values) == set(GENRES)
    assert spec.sizes["genres"] == 1 + len(GENRES)
    names = {row.item_id: row.genres for row in raw[2].collect()}
    vocabulary = spec.feature("genres").values
    for row in item_table.collect():
        assert {vocabulary[i - 1] for i in row.genres} == set(names[row.item_id])


def test_no_python_runs_per_row(random_split):
    parts, _, with_split, item_table = random_split
    candidates = sample_test_candidates(with_split.filter("split = 'test'"), with_split, item_table)
    for frame in (*parts.values(), candidates):
        plan = frame._jdf.queryExecution().optimizedPlan().toString()
        assert "Python" not in plan
        assert "UDF" not in plan
