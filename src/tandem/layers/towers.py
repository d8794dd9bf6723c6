"""Keras layers of the towers, registered as ``tandem``, so that a ``.keras`` file loads wherever this is imported."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
import tensorflow as tf


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


@keras.saving.register_keras_serializable(package="tandem")
class Score(keras.layers.Layer):  # type: ignore[misc]
    """``scale * product + bias`` of user and item vectors, float32 [batch]; both learnt, the scale above 0.

    A cosine alone, as a logit, never says more than a probability of 0.73: what it is worth has to be learnt.
    """

    def __init__(self, scale: float = 1.0, bias: float = 0.0, **options: Any) -> None:
        """Args: scale, bias: to start from."""
        super().__init__(**({"dtype": "float32"} | options))
        self.initial_scale, self.initial_bias = scale, bias

    def build(self, *_: Any) -> None:
        """Two scalars; of the scale its logarithm."""
        constant = keras.initializers.Constant
        self.log_scale = self.add_weight(shape=(), initializer=constant(math.log(self.initial_scale)), name="log_scale")
        self.bias = self.add_weight(shape=(), initializer=constant(self.initial_bias), name="bias")

    def call(self, vectors: Sequence[tf.Tensor]) -> tf.Tensor:
        """The logits of pairs."""
        users, items = vectors
        return self.scale * tf.reduce_sum(users * items, axis=1) + self.bias

    @property
    def scale(self) -> tf.Tensor:
        """Above 0."""
        return tf.exp(self.log_scale)

    def compute_output_shape(self, shapes: Sequence[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """[batch]."""
        return (shapes[0][0],)

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {**super().get_config(), "scale": self.initial_scale, "bias": self.initial_bias}
