"""The layers that turn columns into the input of a dense network, against Keras' own and by hand."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tandem.layers.keras_features import FirstDense, Indicators, NormReluDropout, Numbers, RowEmbedding, RowSum

SIZES = {"a": 3, "b": 4}
IDS = [tf.constant([0, 1, 2, 7, -1]), tf.constant([3, 0, 1, 1, 2])]


def normal(rows: int, width: int, seed: int = 0) -> Any:
    return tf.constant(np.random.default_rng(seed).normal(1.0, 2.0, (rows, width)), tf.float32)


def test_rows_are_gathered_column_by_column_and_ids_out_of_range_are_unknown() -> None:
    layer = RowEmbedding(SIZES, 2)
    rows = layer(IDS).numpy()
    table = layer.table.numpy()
    assert table.shape == (7, 2)
    np.testing.assert_array_equal(rows[:, 0], table[[0, 1, 2, 0, 0]])
    np.testing.assert_array_equal(rows[:, 1], table[[3 + 3, 3, 4, 4, 5]])


def test_the_gradient_of_a_table_is_sparse_and_pending_rows_are_subtracted() -> None:
    layer = RowEmbedding(SIZES, 2)
    before = layer(IDS).numpy()
    layer.pending = lambda ids: tf.ones([tf.shape(ids)[0], 2])
    np.testing.assert_allclose(layer(IDS).numpy(), before - 1.0)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(IDS))
    gradient = tape.gradient(loss, layer.table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.shape == (10,)


def test_mixed_precision_keeps_the_table_in_float32() -> None:
    layer = RowEmbedding(SIZES, 2, dtype="mixed_bfloat16")
    assert layer(IDS).dtype == tf.bfloat16
    assert layer.table.value.dtype == tf.float32


def test_indicators_are_one_hot() -> None:
    vectors = Indicators(SIZES)(IDS).numpy()
    assert vectors.shape == (5, 7)
    np.testing.assert_array_equal(vectors[1], [0, 1, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(vectors[3], [0, 0, 0, 0, 1, 0, 0])


def test_numbers_stand_side_by_side_and_rows_add_up() -> None:
    np.testing.assert_array_equal(Numbers()([tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])]), [[1, 3], [2, 4]])
    np.testing.assert_array_equal(RowSum()(tf.constant([[[1.0], [2.0]]])), [[3.0]])


def test_the_first_layer_is_a_dense_layer_of_both_parts() -> None:
    learnt, given = normal(5, 3), normal(5, 2, seed=1)
    layer = FirstDense(4, seed=3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((learnt, given))
        outputs = layer([learnt, given])
        expected = tf.matmul(tf.concat([learnt, given], 1), layer.kernel.value)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6)
    assert tape.gradient(outputs, given) is None
    for source in (learnt, layer.kernel.value):
        np.testing.assert_allclose(tape.gradient(outputs, source), tape.gradient(expected, source), rtol=1e-5)


@pytest.mark.parametrize("synchronised", [False, True])
def test_normalisation_is_keras_own(synchronised: bool) -> None:
    layer, reference = NormReluDropout(), keras.layers.BatchNormalization()
    if synchronised:
        layer.sum_over_ranks = lambda tensor, name: tensor
    batches = [normal(64, 3, seed=step) for step in range(5)]
    for inputs in batches:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            found = layer(inputs, training=True)
            expected = tf.nn.relu(reference(inputs, training=True))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        for own, other in ((layer.gamma, reference.gamma), (layer.beta, reference.beta)):
            np.testing.assert_allclose(
                tape.gradient(found, own.value), tape.gradient(expected, other.value), rtol=1e-3, atol=1e-3
            )
        np.testing.assert_allclose(tape.gradient(found, inputs), tape.gradient(expected, inputs), atol=1e-4)
    means, variances = zip(*(tf.nn.moments(inputs, 0) for inputs in batches), strict=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), np.mean(means, axis=0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance.numpy(), np.mean(variances, axis=0), rtol=1e-3)
    inputs = normal(10, 3, seed=9)
    expected = tf.nn.batch_normalization(inputs, layer.moving_mean, layer.moving_variance, None, None, 1e-3)
    np.testing.assert_allclose(layer(inputs), tf.nn.relu(expected), atol=1e-5)


def test_after_many_batches_the_moving_averages_are_exponential() -> None:
    layer, expected = NormReluDropout(momentum=0.5), 0.0
    for step in range(8):
        layer(tf.fill([4, 1], float(step)), training=True)
        expected += (step - expected) * max(0.5, 1.0 / (step + 1))
    assert float(layer.moving_mean.numpy()[0]) == pytest.approx(expected)


def test_ranks_that_share_their_sums_have_the_statistics_of_all_rows() -> None:
    whole = normal(64, 3)
    parts, sums = tf.split(whole, 2), {}

    def first_pass(tensor: Any, name: str) -> Any:
        sums.setdefault(name, []).append(tensor)
        return tensor

    layers = [NormReluDropout(name="norm") for _ in parts]
    for layer, part in zip(layers, parts, strict=True):
        layer.sum_over_ranks = first_pass
        layer(part, training=True)
        layer.sum_over_ranks = lambda tensor, name: tf.add_n(sums[name])
    found = tf.concat([layer(part, training=True) for layer, part in zip(layers, parts, strict=True)], 0)
    np.testing.assert_allclose(found, NormReluDropout()(whole, training=True), atol=1e-4)


def test_dropout_drops_its_share_scales_the_rest_and_passes_no_gradient_where_it_dropped() -> None:
    layer, plain = NormReluDropout(0.25, seed=1), NormReluDropout()
    inputs = normal(2000, 8)
    expected = plain(inputs, training=True).numpy()
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        weights = normal(2000, 8, seed=2)
        loss = tf.reduce_sum(outputs * weights)
    found, positive = outputs.numpy(), expected > 0
    assert (found[positive] == 0).mean() == pytest.approx(0.25, abs=0.02)
    kept = found > 0
    np.testing.assert_allclose(found[kept], expected[kept] / 0.75, rtol=1e-4)
    beta = tape.gradient(loss, layer.beta.value)
    np.testing.assert_allclose(beta, (weights.numpy() * kept).sum(0) / 0.75, rtol=1e-3)
    assert (layer(inputs, training=True).numpy() != found).any(), "another draw the next time"
    np.testing.assert_allclose(layer(inputs), plain(inputs), atol=0.2)


def test_layers_load_in_safe_mode(tmp_path: Path) -> None:
    inputs = {name: keras.Input((), dtype="int32", name=name) for name in SIZES}
    number = keras.Input((), dtype="float32", name="x")
    rows = keras.layers.Flatten()(RowEmbedding(SIZES, 2)(list(inputs.values())))
    given = keras.layers.Concatenate()([Indicators(SIZES)(list(inputs.values())), Numbers()([number])])
    model = keras.Model({**inputs, "x": number}, NormReluDropout(0.1)(FirstDense(4)([rows, given])))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    columns = dict(zip(SIZES, IDS, strict=True)) | {"x": tf.zeros([5])}
    np.testing.assert_array_equal(loaded(columns), model(columns))
