"""Predictions of a Keras model on rows, a block at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tandem.batches.columns import ColumnRows
from tandem.training.keras.task import Columns

BLOCK = 4096


class Predictor:
    """Probabilities of rows, a block at a time.

    logits: from the columns of some rows to their logits, [rows, 1]; traced into a graph of its own, once.
    """

    def __init__(self, logits: Callable[[Columns], Any], int_names: tuple[str, ...], float_names: tuple[str, ...]):
        def predict(ints: Any, floats: Any) -> Any:
            columns = {name: ints[:, place] for place, name in enumerate(int_names)}
            columns |= {name: floats[:, place] for place, name in enumerate(float_names)}
            return tf.sigmoid(tf.reshape(tf.cast(logits(columns), tf.float32), [-1]))

        signature = [
            tf.TensorSpec([None, len(int_names)], tf.int32),
            tf.TensorSpec([None, len(float_names)], tf.float32),
        ]
        self._predict = tf.function(predict, input_signature=signature, autograph=False)

    def __call__(self, rows: ColumnRows) -> npt.NDArray[np.float32]:
        """float32 [rows]."""
        parts = [
            self._predict(rows.ints[start : start + BLOCK], rows.floats[start : start + BLOCK]).numpy()
            for start in range(0, len(rows), BLOCK)
        ]
        return np.concatenate([np.empty(0, np.float32), *parts])
