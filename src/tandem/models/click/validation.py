"""Metrics of predicted probabilities over the rows of all ranks, whatever the framework that predicts."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import LABEL, ColumnRows
from tandem.batches.row_blocks import RowStream
from tandem.distributed.ranks.communicator import Communicator
from tandem.evaluation.classification import ClassificationSums, classification_metrics
from tandem.training.score_bins import ScoreBins
from tandem.training.task import Metrics

TINY = 1e-30
WATCHED = ("log_loss", "auc", "average_precision")

Predict = Callable[[ColumnRows], npt.NDArray[np.float32]]
"""Probabilities of rows [n], float32 [n]."""


def click_metrics(predict: Predict, watched: ColumnRows | RowStream, communicator: Communicator) -> Metrics:
    """``log_loss``, ``auc`` and ``average_precision`` of this rank's held-out rows and those of the others."""
    if isinstance(watched, ColumnRows):
        return validation_metrics(predict, watched, communicator)
    return streamed_validation_metrics(predict, watched, communicator)


def validation_metrics(predict: Predict, rows: ColumnRows, communicator: Communicator) -> Metrics:
    """``log_loss``, ``auc`` and ``average_precision`` over the rows of all ranks, exact and the same on every rank.

    rows: this rank's, with their ``label``. One is None where it is undefined, as AUC is when all labels are equal.
    """
    own = np.stack([rows.column(LABEL).astype(np.float32), predict(rows)], axis=1)
    labels, probabilities = communicator.allgather(own).T
    metrics = classification_metrics(labels, probabilities)
    return {name: metrics[name] for name in WATCHED}


def streamed_validation_metrics(predict: Predict, blocks: Iterable[ColumnRows], communicator: Communicator) -> Metrics:
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
