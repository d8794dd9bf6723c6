"""Predictions of a Keras model on a rank's rows, and their metrics over the rows of all ranks."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tandem.batches.columns import LABEL, ColumnRows
from tandem.distributed.collectives import Communicator
from tandem.evaluation.classification import ClassificationSums, classification_metrics
from tandem.training.keras_task import Columns, Metrics
from tandem.training.score_bins import ScoreBins

BLOCK = 4096
TINY = 1e-30
WATCHED = ("log_loss", "auc", "average_precision")


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


def validation_metrics(predict: Predictor, rows: ColumnRows, communicator: Communicator) -> Metrics:
    """``log_loss``, ``auc`` and ``average_precision`` over the rows of all ranks, exact and the same on every rank.

    rows: this rank's, with their ``label``. One is None where it is undefined, as AUC is when all labels are equal.
    """
    own = np.stack([rows.column(LABEL).astype(np.float32), predict(rows)], axis=1)
    labels, probabilities = communicator.allgather(own).T
    metrics = classification_metrics(labels, probabilities)
    return {name: metrics[name] for name in WATCHED}


def streamed_validation_metrics(
    predict: Predictor, blocks: Iterable[ColumnRows], communicator: Communicator
) -> Metrics:
    """The same in bounded memory: ``log_loss`` exact, the others of scores in bins.

    blocks: this rank's rows.
    """
    bins, sums = ScoreBins(), ClassificationSums.of([], [])
    for rows in blocks:
        labels, probabilities = rows.column(LABEL), predict(rows)
        sums += ClassificationSums.of(labels, probabilities)
        bins.add(labels, np.log(np.maximum(probabilities, TINY)) - np.log(np.maximum(1.0 - probabilities, TINY)))
    bins.add_up(communicator)
    totals = communicator.allreduce_scalars({str(index): value for index, value in enumerate(sums.vector())})
    log_loss = ClassificationSums.from_vector(np.array(list(totals.values()))).metrics()["log_loss"]
    return {"log_loss": log_loss, "auc": bins.auc(), "average_precision": bins.average_precision()}
