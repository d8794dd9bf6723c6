"""Keras layers that turn columns of ids and numbers into the input of a dense network.

All are registered as package ``tandem``, so that a saved model loads in safe mode once this module is imported. They
are TensorFlow's: Keras' own embedding casts its whole table in mixed precision, and reads it whole in places.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

Columns = Mapping[str, Any]
"""Name of a column to its values, a tensor [batch]."""


@keras.saving.register_keras_serializable(package="tandem")
class RowEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """A row of weights for each id of several columns, in one table: one gather serves all of them.

    Call with the columns' ids, int32 [batch] each, in the order of ``sizes``; returns [batch, columns, dim] in the
    layer's compute type. An id outside 0..size-1 is taken as 0, the unknown.

    ``table`` is float32 [sum of sizes, dim], whatever the precision. A training that updates only the rows of a batch
    sets ``pending``: what it still owes the rows of some ids ([n] -> [n, dim]) and the gather subtracts. See
    ``tandem.training.keras.row_updates``.

    Example::

        rows = RowEmbedding({"author": 1000, "hashtags": 500}, dim=8)([author, hashtags])  # [batch, 2, 8]
    """

    def __init__(self, sizes: Mapping[str, int], dim: int, initializer: Any = "random_uniform", **options: Any) -> None:
        """Args: sizes: column -> number of its ids, 0 included; dim: width of a row; initializer: of the table."""
        super().__init__(**options)
        self.sizes = dict(sizes)
        self.dim = dim
        self.initializer = keras.initializers.get(initializer)
        self.pending: Callable[[Any], Any] | None = None

    def build(self, *_: Any) -> None:
        """Make the table; it never joins in autocasting, which would copy it whole."""
        shape = (sum(self.sizes.values()), self.dim)
        self.table = self.add_weight(
            shape=shape, dtype="float32", initializer=self.initializer, name="table", autocast=False
        )

    def call(self, ids: Sequence[Any]) -> Any:
        """The rows of the ids."""
        places, start = [], 0
        for column, size in zip(ids, self.sizes.values(), strict=True):
            places.append(tf.where((column >= 0) & (column < size), column, 0) + start)
            start += size
        flat = tf.reshape(tf.stack(places, axis=1), [-1])
        rows = tf.gather(self.table.value, flat)
        if self.pending is not None:
            rows -= tf.stop_gradient(self.pending(flat))
        return tf.cast(tf.reshape(rows, [-1, len(self.sizes), self.dim]), self.compute_dtype)

    def compute_output_shape(self, ids: Sequence[Any]) -> tuple[int | None, ...]:
        """[batch, columns, dim]."""
        return (ids[0][0], len(self.sizes), self.dim)

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "sizes": self.sizes, "dim": self.dim, "initializer": initializer}


@keras.saving.register_keras_serializable(package="tandem")
class Indicators(keras.layers.Layer):  # type: ignore[misc]
    """One-hot vectors of several columns, side by side: [batch, sum of sizes]; an unknown id is a vector of zeros
    but for id 0, which has a place of its own.

    For ids of which there are few. As a product with one-hot vectors, the first dense layer's rows are gathered at
    the speed of its matrix product, and their gradients are added up by it too: cheaper than gathering wide rows.
    """

    def __init__(self, sizes: Mapping[str, int], **options: Any) -> None:
        """Args: sizes: column -> number of its ids, 0 included."""
        super().__init__(**options)
        self.sizes = dict(sizes)

    def call(self, ids: Sequence[Any]) -> Any:
        """The vectors of the ids, int32 [batch] each."""
        sizes = self.sizes.values()
        parts = [tf.one_hot(column, size, dtype=self.compute_dtype) for column, size in zip(ids, sizes, strict=True)]
        return tf.concat(parts, axis=1)

    def compute_output_shape(self, ids: Sequence[Any]) -> tuple[int | None, ...]:
        """[batch, sum of sizes]."""
        return (ids[0][0], sum(self.sizes.values()))

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {**super().get_config(), "sizes": self.sizes}


@keras.saving.register_keras_serializable(package="tandem")
class RowSum(keras.layers.Layer):  # type: ignore[misc]
    """[batch, columns, dim] -> [batch, dim], summed over the columns."""

    def call(self, rows: Any) -> Any:
        """The sums."""
        return tf.reduce_sum(rows, axis=1)

    def compute_output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """[batch, dim]."""
        return (shape[0], shape[2])


@keras.saving.register_keras_serializable(package="tandem")
class Numbers(keras.layers.Layer):  # type: ignore[misc]
    """Columns of numbers, [batch] each, side by side: [batch, columns]."""

    def call(self, columns: Sequence[Any]) -> Any:
        """The matrix."""
        return tf.stack([tf.cast(column, self.compute_dtype) for column in columns], axis=1)

    def compute_output_shape(self, shapes: Sequence[Any]) -> tuple[int | None, ...]:
        """[batch, columns]."""
        return (shapes[0][0], len(shapes))


@keras.saving.register_keras_serializable(package="tandem")
class FirstDense(keras.layers.Layer):  # type: ignore[misc]
    """The first dense layer, without bias, of what is learnt (embeddings) and what is given (indicators, numbers).

    Call with (learnt [batch, n], given [batch, m]); returns [batch, units]. The gradient by what is given, which nobody
    needs, is not computed.
    """

    def __init__(self, units: int, seed: int | None = None, **options: Any) -> None:
        """Args: units: width of the output; seed: of the weights (Glorot & Bengio 2010, uniform)."""
        super().__init__(**options)
        self.units, self.seed = units, seed

    def build(self, shapes: Sequence[Sequence[int | None]]) -> None:
        """Make the kernel, [n + m, units]."""
        width = sum(int(shape[1] or 0) for shape in shapes)
        initializer = keras.initializers.GlorotUniform(seed=self.seed)
        self.kernel = self.add_weight(shape=(width, self.units), initializer=initializer, name="kernel")

    def call(self, inputs: Sequence[Any]) -> Any:
        """The layer's output in its compute type."""
        learnt, given = inputs
        return _first_dense(learnt, given, tf.convert_to_tensor(self.kernel))

    def compute_output_shape(self, shapes: Sequence[Sequence[int | None]]) -> tuple[int | None, ...]:
        """[batch, units]."""
        return (shapes[0][0], self.units)

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {**super().get_config(), "units": self.units, "seed": self.seed}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _first_dense(learnt: Any, given: Any, kernel: Any) -> tuple[Any, Any]:
    inputs = tf.concat([learnt, given], axis=1)

    def gradient(grad: Any) -> tuple[Any, None, Any]:
        by_learnt = tf.matmul(grad, kernel[: learnt.shape[1]], transpose_b=True)
        return by_learnt, None, tf.matmul(inputs, grad, transpose_a=True)

    return tf.matmul(inputs, kernel), gradient


@keras.saving.register_keras_serializable(package="tandem")
class NormReluDropout(keras.layers.Layer):  # type: ignore[misc]
    """Batch normalisation (Ioffe & Szegedy 2015), ReLU and dropout of [batch, width], with few passes over memory.

    The normalisation is TensorFlow's fused one. Dropout spends a random byte on a value (so its rate is rounded to
    1/256), and its scale is folded into the normalisation's, since relu(s x) = s relu(x).

    With several ranks the statistics of a training batch are those of the rank's own part, or, where a training sets
    ``sum_over_ranks`` (tensor, name -> sum over the ranks), those of the global batch. Moving averages are kept per
    rank, and averaged over the ranks by the training before they are used. They begin as plain means of the batches so
    far: from zero and one they would be wrong for hundreds of steps, and with them every probability.
    """

    def __init__(
        self,
        dropout: float = 0.0,
        momentum: float = 0.95,
        epsilon: float = 1e-3,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        """Args: dropout: rate behind the ReLU; momentum: of the moving averages; epsilon: added to the variance."""
        super().__init__(**options)
        self.dropout, self.momentum, self.epsilon, self.seed = dropout, momentum, epsilon, seed
        self.seeds = keras.random.SeedGenerator(seed)
        self.sum_over_ranks: Callable[[Any, str], Any] | None = None

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make scale, offset and moving averages, [width] each, float32."""

        def weight(name: str, initializer: str, *, trainable: bool) -> Any:
            shape = (input_shape[-1],)
            return self.add_weight(
                shape=shape, dtype="float32", initializer=initializer, name=name, trainable=trainable, autocast=False
            )

        self.gamma = weight("gamma", "ones", trainable=True)
        self.beta = weight("beta", "zeros", trainable=True)
        self.moving_mean = weight("moving_mean", "zeros", trainable=False)
        self.moving_variance = weight("moving_variance", "ones", trainable=False)
        self.steps = self.add_weight(
            shape=(), dtype="float32", initializer="zeros", name="steps", trainable=False, autocast=False
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The layer's output, same shape and type as the inputs."""
        if not training:
            scale = self.gamma / tf.sqrt(self.moving_variance + self.epsilon)
            offset = self.beta - self.moving_mean * scale
            return tf.nn.relu(inputs * tf.cast(scale, inputs.dtype) + tf.cast(offset, inputs.dtype))
        threshold = round(self.dropout * 256)
        keep_scale = 256.0 / (256.0 - threshold)
        outputs = self._normalised(inputs, self.gamma * keep_scale, self.beta * keep_scale)
        return self._relu_dropped(outputs, threshold) if threshold else tf.nn.relu(outputs)

    def _normalised(self, inputs: Any, scale: Any, offset: Any) -> Any:
        if self.sum_over_ranks is None:
            normalised, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=tf.reshape(inputs, [-1, 1, 1, inputs.shape[1]]),
                scale=scale,
                offset=offset,
                mean=tf.zeros([0]),
                variance=tf.zeros([0]),
                epsilon=self.epsilon,
                is_training=True,
            )
            rows = tf.cast(tf.shape(inputs)[0], tf.float32)
            self._move(mean, variance * (rows - 1.0) / rows)  # the fused variance is the unbiased one
            return tf.reshape(normalised, [-1, inputs.shape[1]])
        mean, variance = _global_moments(tf.cast(inputs, tf.float32), self.sum_over_ranks, f"{self.name}.moments")
        self._move(mean, variance)
        slope = scale * tf.math.rsqrt(variance + self.epsilon)
        return inputs * tf.cast(slope, inputs.dtype) + tf.cast(offset - mean * slope, inputs.dtype)

    def _move(self, mean: Any, variance: Any) -> None:
        steps = self.steps.value.assign_add(1.0)
        share = tf.maximum(1.0 - self.momentum, 1.0 / steps)
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.value.assign_sub((moving.value - tf.stop_gradient(value)) * share)

    def _relu_dropped(self, inputs: Any, threshold: int) -> Any:
        count, seed = tf.size(inputs), tf.cast(self.seeds.next(), tf.int32)
        words = tf.random.stateless_uniform([(count + 3) // 4], seed, None, None, tf.int32)
        noise = tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:count], tf.shape(inputs))
        return _relu_where(inputs, noise >= threshold)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the inputs."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        own = {"dropout": self.dropout, "momentum": self.momentum, "epsilon": self.epsilon, "seed": self.seed}
        return {**super().get_config(), **own}


def _global_moments(inputs: Any, sum_over_ranks: Callable[[Any, str], Any], name: str) -> tuple[Any, Any]:
    """Mean and variance [width] over the rows of all ranks."""
    rows = tf.cast(tf.shape(inputs)[:1], tf.float32)
    sums = tf.concat([tf.reduce_sum(inputs, 0), tf.reduce_sum(tf.square(inputs), 0), rows], axis=0)
    totals = sum_over_ranks(sums, name)
    mean, square = tf.split(totals[:-1] / totals[-1], 2)
    return mean, tf.maximum(square - tf.square(mean), 0.0)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _relu_where(inputs: Any, kept: Any) -> tuple[Any, Any]:
    """ReLU where kept, else 0. What comes out as 0 gets no gradient, whichever was the reason: one pass for both."""
    result = tf.where(kept, tf.nn.relu(inputs), tf.zeros((), inputs.dtype))

    def gradient(grad: Any) -> tuple[Any, None]:
        return tf.raw_ops.ReluGrad(gradients=grad, features=result), None

    return result, gradient
