"""The update of a model's weights by the gradients of all ranks, the same on every one of them.

Dense weights share one flat allreduce. The gradient of a gathered table is ``tf.IndexedSlices``: the ranks gather each
other's (id, gradient) rows, add up what belongs to one id, and update those rows alone. No operation of a step touches
a whole table.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from tandem.distributed.collectives import Communicator
from tandem.training.rowwise import AdagradRows, AdamRows, DenseWeights, Kind, Momentum, Rate


class RankOptimizer:
    """Updates the weights of a model by the summed gradients of all ranks, the same on every one of them."""

    def __init__(
        self,
        weights: Sequence[Any],
        kind: Kind,
        communicator: Communicator,
        *,
        steps: int,
        min_rows: int,
        settling: Sequence[Any] = (),
        lazy: Sequence[Any] = (),
    ) -> None:
        """Args: weights: ``tf.Variable``, float32, in the order of the gradients; steps: at most so many will follow;
        min_rows: smaller tables are dense. settling: tables whose reader subtracts ``pending``; lazy: tables that are
        gathered by another reader.
        """
        self.communicator, self.kind = communicator, kind
        self.clock = tf.Variable(0, dtype=tf.int32)
        self.momentum = Momentum(self.clock, steps)
        self.weights = list(weights)
        self._settling, self._lazy = ({id(table) for table in tables} for tables in (settling, lazy))
        self.states = [self._state(weight, min_rows) for weight in self.weights]

    def _state(self, weight: Any, min_rows: int) -> AdamRows | AdagradRows | DenseWeights:
        if id(weight) not in self._settling | self._lazy or weight.shape[0] < min_rows:
            return DenseWeights(weight, self.kind)
        if self.kind == "adagrad":
            return AdagradRows(weight)
        return AdamRows(weight, self.momentum, settles=id(weight) in self._settling)

    def rows_of(self, table: Any) -> AdamRows | None:
        """The state of a table whose reader must subtract ``pending``; None where there is nothing to subtract."""
        found = [state for weight, state in zip(self.weights, self.states, strict=True) if weight is table]
        return found[0] if isinstance(found[0], AdamRows) and found[0].settles else None

    def apply(self, gradients: Sequence[Any], learning_rate: Any, rows: Any, most_rows: Any) -> None:
        """One step, inside a ``tf.function``.

        gradients: of this rank, for each weight a tensor, ``tf.IndexedSlices`` or None. rows: this rank's rows of the
        step; most_rows: at most so many on any rank (what is gathered has then the same size at every step).
        """
        rate = Rate(learning_rate, self.clock + 1)
        dense, sparse = [], []
        for index, (state, gradient) in enumerate(zip(self.states, gradients, strict=True)):
            if isinstance(gradient, tf.IndexedSlices) and not isinstance(state, DenseWeights):
                sparse.append((state, self._gathered(gradient, f"rows.{index}", rows, most_rows)))
            elif gradient is not None:
                dense.append((state, _dense(gradient, self.weights[index])))
        reduced = self._reduced([gradient for _, gradient in dense])
        for (state, _), gradient in zip(dense, reduced, strict=True):
            if isinstance(state, DenseWeights):
                state.update(gradient, rate)
            else:  # a table that is read whole: every row has a gradient
                state.update(tf.range(tf.shape(gradient)[0]), gradient, rate)
        for state, (ids, grads) in sparse:
            state.update(ids, grads, rate)
        self.momentum.advance(rate)
        self.clock.assign_add(1)

    def _reduced(self, gradients: list[Any]) -> list[Any]:
        """The sums over all ranks, by one allreduce."""
        if self.communicator.size == 1 or not gradients:
            return gradients
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
        summed = self.communicator.allreduce_in_graph(flat, "gradients")
        parts = tf.split(summed, [gradient.shape.num_elements() for gradient in gradients])
        return [tf.reshape(part, gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]

    def _gathered(self, slices: Any, name: str, rows: Any, most_rows: Any) -> tuple[Any, Any]:
        """(ids, gradients) of all ranks, each id once."""
        dim = slices.values.shape[1]
        ids = tf.cast(slices.indices, tf.int32)
        grads = tf.cast(slices.values, tf.float32)
        if self.communicator.size > 1:
            # Ids and the bits of their gradients travel together, padded by id 0 with a gradient of 0.
            packed = tf.concat([ids[:, None], tf.bitcast(grads, tf.int32)], axis=1)
            missing = (most_rows - rows) * (tf.shape(ids)[0] // rows)
            packed = tf.pad(packed, [[0, missing], [0, 0]])
            packed = tf.reshape(self.communicator.allgather_in_graph(packed, name), [-1, dim + 1])
            ids, grads = packed[:, 0], tf.bitcast(packed[:, 1:], tf.float32)
        unique, places = tf.unique(ids)
        return unique, tf.math.unsorted_segment_sum(grads, places, tf.size(unique))

    def settle(self) -> None:
        """Pay what momentum owes to any row; before tables are read by anything but their layers."""
        for state in self.states:
            if not isinstance(state, DenseWeights):
                state.settle()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, by name, for a checkpoint."""
        slots = {name: variable.numpy() for name, variable in self._slots().items()}
        return {"clock": self.clock.numpy(), "momentum": self.momentum.sums.numpy(), **slots}

    def load(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Continue from what ``state`` gave; the number of steps planned may have changed since."""
        self.clock.assign(state["clock"])
        self.momentum.load(state["momentum"])
        for name, variable in self._slots().items():
            variable.assign(state[name])

    def _slots(self) -> dict[str, Any]:
        return {
            f"{index}.{name}": variable
            for index, state in enumerate(self.states)
            for name, variable in state.variables().items()
        }


def _dense(gradient: Any, weight: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.cast(gradient, tf.float32)
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, weight.shape[0])
