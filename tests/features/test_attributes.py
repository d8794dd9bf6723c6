"""Attributes called anything, of any kind, fitted and applied alike."""

import pytest

from tandem.errors import UserError
from tandem.features import attributes, fitting
from tandem.features.attribute_names import RESERVED, encoded_names
from tandem.features.fitting import fit_feature_spec, recipes
from tandem.features.tables import item_features, user_features
from tandem.sources.schema import Attribute


def test_plain_names_stay_and_others_get_their_side():
    names = encoded_names(
        ["age", "country", "Größe (cm)", "user", "größe-cm", ""], ["country", "genres", "日本", "label"]
    )
    assert names["user"] == {
        "age": "age",
        "country": "user_country",
        "Größe (cm)": "user_grosse_cm",
        "user": "user_user",
        "größe-cm": "user_grosse_cm_2",
        "": "user_feature",
    }
    assert names["item"] == {
        "country": "item_country",
        "genres": "genres",
        "日本": "item_feature",
        "label": "item_label",
    }


def test_a_name_never_becomes_that_of_another():
    names = encoded_names(["user_country", "country", "user_country_2"], ["country", *sorted(RESERVED)])
    encoded = [*names["user"].values(), *names["item"].values()]
    assert len(set(encoded)) == len(encoded)
    assert not RESERVED & set(encoded)
    assert names["user"] == {
        "user_country": "user_country",
        "country": "user_country_3",
        "user_country_2": "user_country_2",
    }


@pytest.fixture(scope="module")
def log(spark):
    rows = [(user, 10 * user, 0, "train") for user in range(1, 7)]
    interactions = spark.createDataFrame(rows, "user_id long, item_id long, timestamp long, split string")
    users = [
        (1, "a.b", 1.5, ["x", "y"], None),
        (2, "a.b", float("nan"), ["y"], None),
        (3, "c`d", float("inf"), None, None),
        (4, None, -1.5, [], None),
        (5, "c`d", None, ["y", "y", None], None),
    ]
    types = "user_id long, `where. it is` string, `label` double, `tags` array<string>, `empty` double"
    items = spark.createDataFrame([(10, "T", "v")], "item_id long, title string, `title ` string")
    return interactions.cache(), spark.createDataFrame(users, types).cache(), items.cache()


RECIPE = recipes(
    (
        Attribute("where. it is", "category"),
        Attribute("label", "number"),
        Attribute("tags", "categories", 2),
        Attribute("empty", "number"),
    ),
    (Attribute("title ", "category"),),
)


def rows(frame):
    return sorted(tuple(row) for row in frame.collect())


def test_every_kind_on_either_side_is_fitted_and_applied(log):
    interactions, users, items = log
    spec = fit_feature_spec(interactions, users, items, RECIPE)
    assert spec.feature("user_where_it_is").values == ("a.b", "c`d")
    number = spec.feature("user_label")
    assert (number.min, number.max, number.mean) == (-1.5, 1.5, 0.0)
    assert spec.feature("tags").values == ("y",)
    empty = spec.feature("empty")
    assert (empty.min, empty.max, empty.mean) == (0.0, 0.0, 0.0)
    table = user_features(interactions, users, spec)
    assert table.columns == ["user", "user_id", "user_where_it_is", "user_label", "tags", "empty"]
    assert rows(table) == [
        (1, 1, 1, 1.0, [1], 0.0),
        (2, 2, 1, 0.5, [1], 0.0),
        (3, 3, 2, 0.5, [], 0.0),
        (4, 4, 0, 0.0, [], 0.0),
        (5, 5, 2, 0.5, [1], 0.0),
        (6, 6, 0, 0.5, [], 0.0),
    ]
    assert rows(item_features(interactions, items, spec))[0] == (1, 10, 1, "T", 1)


def test_large_vocabularies_are_joined_to_the_same_ids(log, monkeypatch):
    interactions, users, items = log
    spec = fit_feature_spec(interactions, users, items, RECIPE)
    expected = rows(user_features(interactions, users, spec))
    monkeypatch.setattr(attributes, "LOOKED_UP", 1)
    assert rows(user_features(interactions, users, spec)) == expected


def test_too_many_categories_are_one_line(log, monkeypatch):
    monkeypatch.setattr(fitting, "MAX_VALUES", 1)
    line = "users: where. it is has 2 categories in training rows, and at most 1 can be learnt; raise its min_count"
    with pytest.raises(UserError, match=line):
        fit_feature_spec(*log, RECIPE)


def test_the_mean_of_a_number_does_not_depend_on_partitions(spark):
    numbers = [(user, 0.1 * user + 1e9 * (user % 3)) for user in range(1, 200)]
    rows = [(user, 1, 0, "train") for user, _ in numbers]
    interactions = spark.createDataFrame(rows, "user_id long, item_id long, timestamp long, split string")
    users = spark.createDataFrame(numbers, "user_id long, score double")
    items = spark.createDataFrame([(1, "T")], "item_id long, title string")
    recipe = recipes((Attribute("score", "number"),), ())
    specs = {
        fit_feature_spec(interactions.repartition(n), users.repartition(n), items, recipe).fingerprint
        for n in (1, 2, 7)
    }
    assert len(specs) == 1
