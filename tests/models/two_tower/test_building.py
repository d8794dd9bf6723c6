import sys
from types import ModuleType

import keras
import numpy as np
import pytest

from tandem.errors import UserError
from tandem.models.two_tower.building import make_towers
from tandem.models.two_tower.config import TwoTowerConfig
from tandem.parameters import TowerParameters, TwoTowerModelParameters

MODEL = TwoTowerModelParameters(
    user=TowerParameters(embeddings=("user",)), item=TowerParameters(embeddings=("tweet",)), hidden_units=()
)
PATH = "my_towers.build"


def narrow_towers(config, width=4):
    """One embedding each."""
    towers = []
    for name in ("user", "tweet"):
        ids = keras.Input((), dtype="int32", name=name)
        towers.append(keras.Model({name: ids}, keras.layers.Embedding(config.sizes[name], width)(ids)))
    return towers[0], towers[1]


def raising(config):
    raise RuntimeError("no idea\nof it")


def one(config):
    return narrow_towers(config)[0]


def uneven(config):
    return narrow_towers(config)[0], narrow_towers(config, 3)[1]


def swapped(config):
    return narrow_towers(config)[::-1]


def made(monkeypatch, function, **options):
    module = ModuleType("my_towers")
    module.build = function
    monkeypatch.setitem(sys.modules, "my_towers", module)
    config = TwoTowerConfig(
        parameters=MODEL,
        builder=PATH,
        builder_options=options,
        sizes={"user": 5, "tweet": 7},
        feature_spec_fingerprint="spec",
    )
    return make_towers(config, "fp32", seed=1)


def test_towers_of_a_builder_take_the_place_of_ours(monkeypatch):
    user, item = made(monkeypatch, narrow_towers, width=5)
    assert user({"user": np.array([1, 2])}).shape == (2, 5)
    again = made(monkeypatch, narrow_towers, width=5)[1]
    assert all(np.array_equal(*pair) for pair in zip(item.get_weights(), again.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raising, "raised RuntimeError: no idea$"),
        (one, r"must return \(user_tower, item_tower\)"),
        (uneven, r"return \(None, 4\) and \(None, 3\); both must return"),
        (swapped, r"user tower .* reads tweet, which is no column of two_tower\.model\.user; add it"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_builder_does_wrong_is_one_line(monkeypatch, function, message):
    with pytest.raises(UserError, match=message):
        made(monkeypatch, function)
