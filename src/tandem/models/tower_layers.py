"""Keras layers of the towers, registered as ``tandem``, so that a ``.keras`` file loads wherever this is imported."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tandem")
class Indicators(keras.layers.Layer):  # type: ignore[misc]
    """Id columns [batch] to their one-hot vectors side by side: float [batch, sum of sizes]."""

    def __init__(self, sizes: Sequence[int], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.sizes = tuple(sizes)

    def call(self, columns: Sequence[tf.Tensor]) -> tf.Tensor:
        """One 1 per column and row; an id beyond its size has none."""
        return tf.concat(
            [tf.one_hot(ids, size, dtype=self.compute_dtype) for ids, size in zip(columns, self.sizes, strict=True)], 1
        )

    def compute_output_shape(self, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """[batch, sum of sizes]."""
        return (shapes[0][0], sum(self.sizes))

    def get_config(self) -> dict[str, Any]:
        """For the ``.keras`` file."""
        return {**super().get_config(), "sizes": self.sizes}


@keras.saving.register_keras_serializable(package="tandem")
class Stack(keras.layers.Layer):  # type: ignore[misc]
    """Columns of numbers, each [batch], side by side: float [batch, columns]."""

    def call(self, columns: Sequence[tf.Tensor]) -> tf.Tensor:
        """In the order given."""
        return tf.stack([tf.cast(column, self.compute_dtype) for column in columns], 1)

    def compute_output_shape(self, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """[batch, columns]."""
        return (shapes[0][0], len(shapes))


@keras.saving.register_keras_serializable(package="tandem")
class InputDense(keras.layers.Layer):  # type: ignore[misc]
    """The first dense layer: of what is learnt and what is given, side by side, with ReLU or without.

    ``inputs`` are [batch, learnt] and [batch, given] (either may be missing). Its gradient by the given part, which
    nobody needs, is not computed: of 175 columns of the reference's item tower that is 95.
    """

    def __init__(self, units: int, activation: Literal["relu", "linear"] = "relu", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.units, self.activation = units, activation

    def build(self, shapes: Sequence[tuple[int | None, ...]]) -> None:
        """Glorot-uniform weights over all inputs, as those of a plain dense layer."""
        width = sum(int(shape[1] or 0) for shape in shapes)
        self.kernel = self.add_weight(shape=(width, self.units), initializer="glorot_uniform", name="kernel")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """[batch, units]."""
        learnt, given = inputs
        kernel, bias = tf.cast(self.kernel, self.compute_dtype), tf.cast(self.bias, self.compute_dtype)
        return _input_dense(learnt, given, kernel, bias, relu=self.activation == "relu")

    def compute_output_shape(self, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """[batch, units]."""
        return (shapes[0][0], self.units)

    def get_config(self) -> dict[str, Any]:
        """For the ``.keras`` file."""
        return {**super().get_config(), "units": self.units, "activation": self.activation}


def _input_dense(learnt: tf.Tensor, given: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, *, relu: bool) -> tf.Tensor:
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def layer(learnt: tf.Tensor, given: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Any]:
        inputs = tf.concat([learnt, given], 1)
        outputs = tf.nn.bias_add(tf.matmul(inputs, kernel), bias)
        outputs = tf.nn.relu(outputs) if relu else outputs

        def gradient(by_outputs: tf.Tensor) -> tuple[tf.Tensor, None, tf.Tensor, tf.Tensor]:
            if relu:
                by_outputs = tf.raw_ops.ReluGrad(gradients=by_outputs, features=outputs)
            by_learnt = tf.matmul(by_outputs, kernel[: tf.shape(learnt)[1]], transpose_b=True)
            by_kernel = tf.matmul(inputs, by_outputs, transpose_a=True)
            return by_learnt, None, by_kernel, tf.raw_ops.BiasAddGrad(out_backprop=by_outputs)

        return outputs, gradient

    return layer(learnt, given, kernel, bias)


@keras.saving.register_keras_serializable(package="tandem")
class Vectors(keras.layers.Layer):  # type: ignore[misc]
    """float32 vectors [batch, dim], divided by their length where ``normalize``."""

    def __init__(self, *, normalize: bool = True, **arguments: Any) -> None:
        super().__init__(**({"dtype": "float32"} | arguments))
        self.normalize = normalize

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """A vector of zeros stays one."""
        vectors = tf.cast(inputs, tf.float32)
        return tf.math.l2_normalize(vectors, axis=1) if self.normalize else vectors

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """As the input's."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """For the ``.keras`` file."""
        return {**super().get_config(), "normalize": self.normalize}
