"""What the Keras loop is given: a model with its rows and its loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tandem.batches.columns import ColumnBatches
from tandem.training.task import Task

Columns = dict[str, Any]
"""Name of a column to its values, a tensor int32 or float32 [batch]."""


@dataclass(frozen=True, kw_only=True)
class KerasTask(Task):
    """A model and what it is trained on.

    model: its trainable weights are trained; other float weights are averaged over the ranks after each epoch.
    summed_loss: traced into the step's graph; from the columns of this rank's rows of the step to the *sum* of their
        losses, a float32 scalar.
    """

    rows: ColumnBatches
    model: keras.Model
    summed_loss: Callable[[Columns], Any]
