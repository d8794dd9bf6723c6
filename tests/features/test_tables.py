import math

import pytest

from tandem.features.fitting import fit_feature_spec, recipes
from tandem.features.tables import encode_rows, item_features, model_input_columns, user_features
from tandem.sources.movielens import movielens_schema

INTERACTIONS = [
    # user, item, timestamp, split
    (10, 500, 1, "train"),
    (10, 501, 2, "train"),
    (20, 500, 3, "train"),
    (30, 501, 4, "train"),
    (40, 500, 5, "train"),
    (40, 502, 6, "test"),
    (50, 500, 7, "test"),
]
USERS = [
    (10, "F", 20, "artist", "11111"),
    (20, "M", 30, "artist", "22222"),
    (30, "M", None, None, "11111"),
    # 40 rated, and has no row here; 50 and 60 have no training interaction.
    (50, "X", 90, "robot", "99999"),
    (60, "F", 20, "artist", "11111"),
]
ITEMS = [
    (500, "Alpha", 1990, ["Drama", "Comedy"]),
    (501, "Beta", None, ["Drama"]),
    (502, "Gamma", 1995, ["Western", "Drama"]),
    (503, "Delta", 1996, []),
]


def movielens(min_zip_code_users=1):
    schema = movielens_schema(min_zip_code_users)
    return recipes(schema.user_attributes, schema.item_attributes)


@pytest.fixture(scope="module")
def raw(spark):
    interactions = spark.createDataFrame(INTERACTIONS, "user_id long, item_id long, timestamp long, split string")
    users = spark.createDataFrame(USERS, "user_id long, gender string, age int, occupation string, zip_code string")
    items = spark.createDataFrame(ITEMS, "item_id long, title string, year int, genres array<string>")
    return interactions.localCheckpoint(), users.cache(), items.cache()


@pytest.fixture(scope="module")
def spec(raw):
    return fit_feature_spec(*raw, movielens(2))


@pytest.fixture(scope="module")
def tables(raw, spec):
    interactions, users, items = raw
    return user_features(interactions, users, spec).localCheckpoint(), item_features(interactions, items, spec).cache()


def test_the_spec_holds_the_training_data_and_nothing_else(spec):
    assert (spec.num_users, spec.num_items, spec.num_training_rows) == (4, 2, 5)
    assert spec.feature("gender").values == ("M", "F")
    assert spec.feature("occupation").values == ("artist",)
    assert spec.feature("genres").values == ("Drama", "Comedy")
    assert spec.sizes == {"user": 5, "item": 3, "gender": 3, "occupation": 2, "zip_code": 2, "genres": 3}


def test_rare_zip_codes_are_left_out(raw, spec):
    assert spec.feature("zip_code").values == ("11111",)
    assert spec.feature("zip_code").min_count == 2
    assert fit_feature_spec(*raw, movielens()).feature("zip_code").values == ("11111", "22222")


def test_age_is_fitted_over_training_users_with_an_age(spec):
    age = spec.feature("age")
    assert (age.min, age.max, age.mean) == (20.0, 30.0, 25.0)


def test_the_id_vocabularies_are_the_feature_tables(spec):
    user = spec.feature("user")
    assert (user.values, user.path, user.size) == (None, "user_features.parquet", 5)


def test_the_fingerprint_knows_the_ids_in_the_tables(raw, spec):
    from pyspark.sql import functions as F  # noqa: N812

    interactions, users, items = raw
    renamed = interactions.withColumn("user_id", F.when(F.col("user_id") == 40, 41).otherwise(F.col("user_id")))
    other = fit_feature_spec(renamed, users, items, movielens(2))
    assert other.sizes == spec.sizes
    assert other.fingerprint != spec.fingerprint


def test_the_fingerprint_knows_which_rows_train_where_users_and_items_are_the_same(raw, spec):
    from pyspark.sql import functions as F  # noqa: N812

    interactions, users, items = raw
    crossed = F.when(F.col("user_id") == 20, 501).when(F.col("user_id") == 30, 500).otherwise(F.col("item_id"))
    other = fit_feature_spec(interactions.withColumn("item_id", crossed), users, items, movielens(2))
    assert (other.features, other.num_training_rows) == (spec.features, spec.num_training_rows)
    assert other.fingerprint != spec.fingerprint


def test_the_fingerprint_knows_the_seed_of_the_negatives(raw, spec):
    assert fit_feature_spec(*raw, movielens(2), seed=1).fingerprint != spec.fingerprint


def test_the_spec_does_not_depend_on_partitions(raw, spec):
    again = fit_feature_spec(*(frame.repartition(5) for frame in raw), movielens(2))
    assert again.fingerprint == spec.fingerprint


def test_user_features_are_one_row_per_training_user_by_ascending_id(tables):
    users, _ = tables
    assert users.dtypes == [
        ("user", "int"), ("user_id", "bigint"), ("gender", "int"),
        ("occupation", "int"), ("zip_code", "int"), ("age", "float"),
    ]  # fmt: skip
    assert sorted(map(tuple, users.collect())) == [
        (1, 10, 2, 1, 1, 0.0),
        (2, 20, 1, 1, 0, 1.0),
        (3, 30, 1, 0, 1, 0.5),
        (4, 40, 0, 0, 0, 0.5),
    ]


def test_item_features_are_one_row_per_training_item(tables):
    _, items = tables
    assert items.dtypes == [
        ("item", "int"), ("item_id", "bigint"), ("genres", "array<int>"), ("title", "string"), ("popularity", "bigint"),
    ]  # fmt: skip
    assert sorted(map(tuple, items.collect())) == [(1, 500, [1, 2], "Alpha", 3), (2, 501, [1], "Beta", 2)]


def test_training_rows_are_encoded_as_the_contract_says(spark, raw, spec, tables):
    rows = spark.createDataFrame([(10, 500, 1, 7)], "user_id long, item_id long, label int, timestamp long")
    encoded = encode_rows(rows, *tables, spec, users=raw[1], items=raw[2])
    names = ("gender", "occupation", "zip_code", "age", "genres")
    assert model_input_columns(spec) == ("user_id", "item_id", "user", "item", "label", *names, "timestamp")
    assert tuple(encoded.columns) == model_input_columns(spec)
    types = ["bigint"] * 2 + ["int"] * 6 + ["float", "array<int>", "bigint"]
    assert [kind for _, kind in encoded.dtypes] == types
    assert tuple(encoded.first()) == (10, 500, 1, 1, 1, 2, 1, 1, 0.0, [1, 2], 7)


@pytest.fixture(scope="module")
def encoded_pair(spark, raw, spec, tables):
    def encoded(user, item):
        rows = spark.createDataFrame([(user, item)], "user_id long, item_id long")
        return encode_rows(rows, *tables, spec, users=raw[1], items=raw[2]).first().asDict()

    return encoded


def test_unknown_ids_are_zero_and_keep_the_side_features_of_the_raw_tables(encoded_pair):
    row = encoded_pair(60, 502)
    assert (row["user"], row["gender"], row["occupation"], row["zip_code"], row["age"]) == (0, 2, 1, 1, 0.0)
    assert (row["item"], row["genres"]) == (0, [1])


def test_categories_never_seen_in_training_are_zero_and_age_is_clipped(encoded_pair):
    row = encoded_pair(50, 503)
    assert (row["user"], row["gender"], row["occupation"], row["zip_code"], row["age"]) == (0, 0, 0, 0, 1.0)
    assert (row["item"], row["genres"]) == (0, [])


def test_ids_in_no_table_get_a_row_all_the_same(encoded_pair):
    row = encoded_pair(777, 888)
    assert (row["user"], row["item"], row["gender"], row["genres"], row["age"]) == (0, 0, 0, [], 0.5)


def test_without_raw_tables_only_known_ids_have_features(spark, raw, spec, tables):
    rows = spark.createDataFrame([(60, 500, "kept")], "user_id long, item_id long, note string")
    row = encode_rows(rows, *tables, spec).first().asDict()
    assert (row["user"], row["item"], row["gender"], row["genres"], row["note"]) == (0, 1, 0, [1, 2], "kept")


def test_a_single_age_scales_to_zero(spark, raw):
    interactions, users, items = raw
    spec = fit_feature_spec(interactions, users.filter("age = 20"), items, movielens())
    table = user_features(interactions, users, spec)
    assert all(row.age == 0.0 and not math.isnan(row.age) for row in table.collect())
