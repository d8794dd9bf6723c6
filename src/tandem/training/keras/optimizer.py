"""The update of a model's weights by the gradients of all ranks, the same on every one of them.

Dense weights share one flat allreduce. The gradient of a gathered table is ``tf.IndexedSlices``. Where the table is
large (``gradient_exchange``), each rank adds up what belongs to one id, the ranks gather each other's (id, gradient)
rows, add them up again, and update those rows alone: no operation of such a step touches the whole table. Where it is
small beside the batch, the whole gradient joins the allreduce, with a column that says which rows any rank looked up;
the update is the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from tandem.distributed.ranks.communicator import Communicator
from tandem.training.gradient_exchange import Exchange, check_exchange, exchange_of
from tandem.training.keras.row_updates import AdagradRows, AdamRows, DenseWeights, Kind, Momentum, Rate

# Numbers of rows that a rank may bring to a gather, up to the most that it has.
SIZES = 16


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
        ids_per_row: Sequence[int] = (),
    ) -> None:
        """Args: weights: ``tf.Variable``, float32, in the order of the gradients; steps: at most so many will follow;
        min_rows: smaller tables are dense. settling: tables whose reader subtracts ``pending``; lazy: tables that are
        gathered by another reader. ids_per_row: of each of ``settling``, ids that a row of the batch looks up; else 1.
        """
        self.communicator, self.kind = communicator, kind
        self.clock = tf.Variable(0, dtype=tf.int32)
        self.momentum = Momentum(self.clock, steps)
        self.weights = list(weights)
        self._settling, self._lazy = ({id(table) for table in tables} for tables in (settling, lazy))
        self.min_rows = min_rows
        self._ids_per_row = {id(table): count for table, count in zip(settling, ids_per_row, strict=False)}
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

    def apply(self, gradients: Sequence[Any], learning_rate: Any, most_rows: int) -> None:
        """One step, inside a ``tf.function``.

        gradients: of this rank, for each weight a tensor, ``tf.IndexedSlices`` or None. most_rows: of a step, on the
        rank that has most, at most. Raises UserError where the ranks' rows may be more than MPI can count.
        """
        rate = Rate(learning_rate, self.clock + 1)
        dense, tables, sparse = [], [], []
        for index, (weight, state, gradient) in enumerate(zip(self.weights, self.states, gradients, strict=True)):
            if isinstance(gradient, tf.IndexedSlices) and not isinstance(state, DenseWeights):
                ids = most_rows * self._ids_per_row.get(id(weight), 1)
                if self._exchange(weight, ids, f"rows.{index}") == "sparse":
                    sparse.append((state, self._gathered(gradient, f"rows.{index}", ids)))
                else:
                    tables.append((state, _whole(gradient, weight)))
            elif gradient is not None:
                dense.append((state, _dense(gradient, weight)))
        reduced = self._reduced([gradient for _, gradient in dense + tables])
        for (state, _), gradient in zip(dense, reduced, strict=False):
            if isinstance(state, DenseWeights):
                state.update(gradient, rate)
            else:  # a table that is read whole: every row has a gradient
                state.update(tf.range(tf.shape(gradient)[0]), gradient, rate)
        sparse += [(state, _touched(both)) for (state, _), both in zip(tables, reduced[len(dense) :], strict=True)]
        for state, (rows, grads) in sparse:
            state.update(rows, grads, rate)
        self.momentum.advance(rate)
        self.clock.assign_add(1)

    def _exchange(self, table: Any, ids: int, name: str) -> Exchange:
        (rows, dim), ranks = table.shape, self.communicator.size
        if ranks == 1:
            return "sparse"  # of its own rows
        exchange = exchange_of(rows, ids, ranks, self.min_rows)
        check_exchange(exchange, rows, dim, ids, ranks, f"the gradients of table {name}")
        return exchange

    def _reduced(self, gradients: list[Any]) -> list[Any]:
        """The sums over all ranks, by one allreduce."""
        if self.communicator.size == 1 or not gradients:
            return gradients
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)
        summed = self.communicator.allreduce_in_graph(flat, "gradients")
        parts = tf.split(summed, [gradient.shape.num_elements() for gradient in gradients])
        return [tf.reshape(part, gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]

    def _gathered(self, slices: Any, name: str, most_ids: int) -> tuple[Any, Any]:
        """(ids, gradients) of all ranks, each id once."""
        ids, grads = _coalesced(tf.cast(slices.indices, tf.int32), tf.cast(slices.values, tf.float32))
        if self.communicator.size == 1:
            return ids, grads
        # Ids and the bits of their gradients travel together. Sizes are rounded up, by a row with a gradient of 0: with
        # one that is new at every step, Horovod would negotiate at every step.
        unit = max(1, most_ids // SIZES)
        missing = -tf.shape(ids)[0] % unit
        ids = tf.concat([ids, tf.fill([missing], ids[0])], axis=0)
        grads = tf.pad(grads, [[0, missing], [0, 0]])
        packed = tf.concat([ids[:, None], tf.bitcast(grads, tf.int32)], axis=1)
        packed = tf.ensure_shape(self.communicator.allgather_in_graph(packed, name), packed.shape)
        return _coalesced(packed[:, 0], tf.bitcast(packed[:, 1:], tf.float32))

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


def _coalesced(ids: Any, grads: Any) -> tuple[Any, Any]:
    """Each id once, with the sum of its gradients."""
    unique, places = tf.unique(ids)
    return unique, tf.math.unsorted_segment_sum(grads, places, tf.size(unique))


def _whole(slices: Any, table: Any) -> Any:
    """The gradient of the whole table, and a column that is above 0 in rows that were looked up: [rows, dim + 1]."""
    values = tf.pad(tf.cast(slices.values, tf.float32), [[0, 0], [0, 1]], constant_values=1.0)
    return tf.ensure_shape(
        tf.math.unsorted_segment_sum(values, slices.indices, table.shape[0]), [table.shape[0], table.shape[1] + 1]
    )


def _touched(whole: Any) -> tuple[Any, Any]:
    """(ids, gradients) of the rows that any rank looked up."""
    ids = tf.cast(tf.where(whole[:, -1] > 0.0)[:, 0], tf.int32)
    return ids, tf.gather(whole[:, :-1], ids)
