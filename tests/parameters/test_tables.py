"""The page that describes a log: what it may say, and what is said of one that may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from tandem.errors import invalid_parameters
from tandem.parameters import DataParameters

LOG = {"file": "log.csv", "user": "u", "item": "i"}


def told(given: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as raised:
        DataParameters.model_validate(given)
    return "; ".join(invalid_parameters("", DataParameters, raised.value))


def test_a_kind_alone_is_short_for_a_feature() -> None:
    features = {"color": "category", "price": {"column": "p.eur", "kind": "number"}}
    items = {"file": "items.csv", "id": "i", "features": features}
    found = DataParameters.model_validate({"tables": {"path": "x", "interactions": LOG, "items": items}}).tables
    assert found is not None
    assert found.items is not None
    assert found.items.features["color"].kind == "category"
    assert found.items.features["price"].column == "p.eur"
    again = DataParameters.model_validate({"tables": found.model_dump()}).tables
    assert again == found


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ({"user": None}, "tables.interactions.user: expected a text, found None"),
        ({"usr": "u"}, "tables.interactions.usr: there is no such parameter; did you mean user?"),
        ({"file": None}, "tables.interactions: expected file, or train and test: one of file and train names the rows"),
        ({"train": "a"}, "tables.interactions: expected file, or train and test"),
        ({"test": "a"}, "tables.interactions: found file beside validation or test; write train in the place of file"),
        ({"threshold": 4}, "tables.interactions: found a threshold without a label; name the column of the label"),
        ({"time": "t", "time_format": "%Q"}, "tables.interactions.time_format: expected s, ms, us, ns, iso or a form"),
        ({"encoding": "utf-9"}, "tables.interactions.encoding: utf-9 is not known; write utf-8"),
        ({"columns": ["a", "a"]}, "tables.interactions.columns: a stands there twice; give each column a name"),
    ],
)
def test_what_cannot_be_meant_is_one_line(log: dict[str, Any], line: str) -> None:
    assert told({"tables": {"path": "x", "interactions": LOG | log}}).startswith(line)


@pytest.mark.parametrize(
    ("feature", "line"),
    [
        ({"color": "categry"}, "tables.items.features: color: expected the kind category, categories or number, found"),
        ({"title": "category"}, "tables.items.features: title is a name that the tables have themselves; choose"),
        (
            {"a": {"kind": "number", "min_cont": 2}},
            "tables.items.features.a.min_cont: there is no such parameter; did you mean",
        ),
        (
            {"a": {"kind": "category", "min_count": 0}},
            "tables.items.features.a.min_count: expected at least 1, found 0",
        ),
    ],
)
def test_a_feature_that_cannot_be_is_named(feature: dict[str, Any], line: str) -> None:
    items = {"file": "items.csv", "id": "i", "features": feature}
    assert told({"tables": {"path": "x", "interactions": LOG, "items": items}}).startswith(line)


def test_tables_and_the_word_that_asks_for_them_belong_together() -> None:
    assert told({"data": "tables"}).startswith("tables: data=tables needs the block tables, which says which file and")
    assert told({"movielens": "parquet"}).startswith("movielens: parquet is no MovieLens any more; write down which")
