import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tandem.artifacts import CONFIG_FILE, Calibration, read_config
from tandem.errors import UserError
from tandem.layers.towers import InputDense
from tandem.models.two_tower.config import ITEM_FILE, USER_FILE, TwoTowerConfig
from tandem.models.two_tower.network import build_towers, load_tower, save_towers, weights_fingerprint
from tandem.parameters import TowerParameters, TwoTowerModelParameters

SIZES = {
    "user": 11,
    "user_is_verified": 3,
    "tweet": 13,
    "author": 7,
    "hashtags": 5,
    "links": 2,
    "domains": 4,
    "author_is_verified": 3,
    "present_media": 14,
    "tweet_type": 4,
    "language": 68,
}
SMALL = TwoTowerModelParameters(hidden_units=(16, 8), output_dim=4, embedding_dim=3)


def config_of(parameters: TwoTowerModelParameters = SMALL, **fields) -> TwoTowerConfig:
    return TwoTowerConfig(parameters=parameters, sizes=SIZES, feature_spec_fingerprint="spec", **fields)


def columns_of(tower: TowerParameters, rows: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    ids = {name: rng.integers(0, SIZES[name], rows).astype(np.int32) for name in tower.ids}
    return ids | {name: rng.random(rows).astype(np.float32) for name in tower.continuous}


def test_the_dense_layers_of_the_reference_have_the_published_number_of_weights():
    """1,368,320 of its 1,368,528 parameters were dense: with one-hot languages of 68 and no embedding of the tweet."""
    item = TwoTowerModelParameters().item.model_copy(update={"embeddings": ("author", "hashtags", "links", "domains")})
    user, item_tower = build_towers(config_of(TwoTowerModelParameters(item=item)))
    tables = 16 * sum(SIZES[name] for name in ("user", "author", "hashtags", "links", "domains"))
    assert user.count_params() + item_tower.count_params() - tables == 1_368_320


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_vectors_are_float32_of_length_one(precision):
    for tower, columns in zip(build_towers(config_of(), precision), (SMALL.user, SMALL.item), strict=True):
        vectors = tower(columns_of(columns))
        assert vectors.shape == (6, 4)
        assert vectors.dtype == tf.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_length_and_last_activation_are_a_choice():
    plain = SMALL.model_copy(update={"normalize": False, "output_activation": "relu"})
    vectors = build_towers(config_of(plain))[0](columns_of(SMALL.user)).numpy()
    assert (vectors >= 0.0).all()
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1.0)


def test_bf16_computes_what_fp32_does_to_its_precision():
    single, half = (build_towers(config_of(), precision, seed=3)[1] for precision in ("fp32", "bf16"))
    columns = columns_of(SMALL.item)
    assert np.allclose(single(columns), half(columns), atol=0.03)
    assert not np.array_equal(single(columns), half(columns))


def test_the_seed_decides_the_weights():
    first, second, other = (weights_fingerprint(*build_towers(config_of(), seed=seed)) for seed in (1, 1, 2))
    assert first == second != other


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_the_first_layer_is_a_dense_layer_whose_given_inputs_get_no_gradient(activation):
    rng = np.random.default_rng(0)
    learnt, given = (tf.Variable(rng.normal(size=(5, width)).astype(np.float32)) for width in (3, 4))
    layer, plain = InputDense(6, activation), keras.layers.Dense(6, activation=activation)
    plain.build((5, 7))
    with tf.GradientTape(persistent=True) as tape:
        outputs = layer([learnt, given])
        plain.set_weights(layer.get_weights())
        expected = plain(tf.concat([learnt, given], 1))
        losses = [tf.reduce_sum(tf.square(one)) for one in (outputs, expected)]
    assert np.allclose(outputs, expected, atol=1e-6)
    ours = tape.gradient(losses[0], [*(one.value for one in layer.weights), learnt])
    theirs = tape.gradient(losses[1], [*(one.value for one in plain.weights), learnt])
    assert all(np.allclose(own, other, atol=1e-5) for own, other in zip(ours, theirs, strict=True))
    assert tape.gradient(losses[0], given) is None


@pytest.mark.parametrize(
    "tower",
    [TowerParameters(embeddings=("user",)), TowerParameters(continuous=("user_ratio",))],
    ids=["ids", "numbers"],
)
def test_a_tower_may_read_one_kind_of_column_alone(tower):
    parameters = SMALL.model_copy(update={"user": tower, "hidden_units": ()})
    assert build_towers(config_of(parameters))[0](columns_of(tower)).shape == (6, 4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_saved_towers_load_in_safe_mode_as_fp32_and_know_their_weights(tmp_path, precision):
    towers = build_towers(config_of(), precision, seed=5)
    saved = save_towers(
        towers, build_towers(config_of()), config_of(calibration=Calibration(scale=4.0, offset=-1.0)), tmp_path
    )
    config = read_config(tmp_path, TwoTowerConfig)
    assert config == saved
    assert config.calibration == Calibration(scale=4.0, offset=-1.0)
    loaded = [load_tower(tmp_path, file) for file in (USER_FILE, ITEM_FILE)]
    assert weights_fingerprint(*loaded) == weights_fingerprint(*towers) == config.model_fingerprint
    single = build_towers(config_of(), "fp32", seed=5)[1]
    assert np.array_equal(loaded[1](columns_of(SMALL.item)), single(columns_of(SMALL.item)))


def test_a_column_that_is_not_there_is_one_line():
    parameters = SMALL.model_copy(update={"user": TowerParameters(embeddings=("uesr",))})
    with pytest.raises(UserError, match="has no id column uesr; it has author, author_is_verified"):
        build_towers(config_of(parameters))


def test_a_missing_or_damaged_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"config\.json is missing: train a model first"):
        read_config(tmp_path, TwoTowerConfig)
    with pytest.raises(UserError, match=r"user_tower\.keras is missing: train a model first"):
        load_tower(tmp_path, USER_FILE)
    (tmp_path / CONFIG_FILE).write_text(json.dumps({"kind": "two_tower", "format_version": 1, "sizes": {}}))
    (tmp_path / USER_FILE).write_bytes(b"no model")
    with pytest.raises(UserError, match="is damaged"):
        read_config(tmp_path, TwoTowerConfig)
    with pytest.raises(UserError, match=r"user_tower.keras cannot be loaded .*; train again"):
        load_tower(tmp_path, USER_FILE)
