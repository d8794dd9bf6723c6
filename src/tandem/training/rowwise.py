"""Adam and Adagrad over all ranks, at a cost that does not grow with the embedding tables.

Dense weights share one flat allreduce. The gradient of a gathered table is ``tf.IndexedSlices``: the ranks gather each
other's (id, gradient) rows, add up what belongs to one id, and update those rows alone. No operation of a step touches
a whole table.

**Adagrad** does not move a row without gradient, so the row-wise update is Keras' own.

**Adam** does: with the momentum of earlier steps. Rows remember the step of their last gradient, and what Adam owes
them since then is a geometric series, paid when a row is next read (``pending``, which ``RowEmbedding`` subtracts) or
updated, and by ``settle``, which an epoch ends with. The result is Adam's over the whole table, up to a learning rate
that changes within the few dozen steps that momentum lasts, epsilon, and rounding. A table that is gathered by another
layer (Keras' own Embedding) is updated as "lazy Adam" instead: its rows stand still, moments included, until their next
gradient.

Bias correction is by the global step, as in Keras. Small tables are trained as dense weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tandem.distributed.collectives import Communicator

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults
INITIAL_ACCUMULATOR = 0.1
# Of one step's momentum, so much moves a row k steps later (while the second moment decays beside the first).
DECAY = BETA_1 / BETA_2**0.5
# After so many steps momentum is spent to the last bit of float32.
SPENT_STEPS = 160
SETTLED_AT_ONCE = 1 << 18

Kind = Literal["adam", "adagrad"]


@dataclass(frozen=True)
class Rate:
    """What a step's update is scaled by: the learning rate, and Adam's bias corrections; scalars, float32 and int32."""

    learning_rate: Any
    step: Any

    @property
    def adam(self) -> Any:
        """The learning rate with both bias corrections."""
        return self.learning_rate * _bias_correction(tf.cast(self.step, tf.float32))


def _bias_correction(step: Any) -> Any:
    """Adam's, float32, for any step from 1; it may be a fraction."""
    return tf.sqrt(1.0 - tf.pow(BETA_2, step)) / (1.0 - tf.pow(BETA_1, step))


class AdamRows:
    """Moments of a table's rows, and the update of some of them.

    slots: float32 [rows, 2 dim + 2]: first and second moment, the learning rate of the row's last step, and that step
    (exact up to 2^24). Side by side, since what a row costs is finding it in memory. touched: bool [rows], where
    something is owed.
    """

    def __init__(self, table: Any, clock: Any, *, settles: bool) -> None:
        """Args: table: variable [rows, dim]; clock: variable, steps done; settles: its reader subtracts ``pending``."""
        self.table, self.clock, self.settles = table, clock, settles
        rows, self.dim = table.shape
        self.slots = tf.Variable(tf.zeros([rows, 2 * self.dim + 2]))
        self.touched = tf.Variable(tf.zeros([rows if settles else 0], tf.bool))

    def variables(self) -> dict[str, Any]:
        """All state, by name."""
        return {"slots": self.slots, "touched": self.touched}

    def pending(self, ids: Any) -> Any:
        """What momentum still subtracts from these rows, [n, dim]."""
        return self._owed(*self._found(ids))

    def _found(self, ids: Any) -> tuple[Any, Any, Any, Any]:
        """First and second moments [n, dim], rate and step of the last gradient [n, 1]."""
        return tuple(tf.split(tf.gather(self.slots, ids), [self.dim, self.dim, 1, 1], axis=1))

    def _missed(self, last: Any) -> Any:
        """Steps since then, float32."""
        return tf.cast(self.clock, tf.float32) - last

    def _owed(self, first: Any, second: Any, rate: Any, last: Any) -> Any:
        """The sum of the steps between a row's last gradient and now.

        With k steps missed since step s, momentum moved the row by
        ``sum over i = 1..k of rate(s + i) DECAY^i first / (sqrt(second) + epsilon)``. The bias correction in the rate,
        which changes slowly, is taken at the weighted mean of these steps.
        """
        missed = self._missed(last)
        left = tf.pow(DECAY, missed)
        series = DECAY * (1.0 - left) / (1.0 - DECAY)
        lag = 1.0 / (1.0 - DECAY) - missed * left / tf.maximum(1.0 - left, 1e-9)
        rate *= _bias_correction(last + tf.maximum(lag, 1.0))
        return first / (tf.sqrt(second) + EPSILON) * (rate * series)

    def update(self, ids: Any, grads: Any, rate: Rate) -> None:
        """One step of the rows ids [n], each once, with gradients [n, dim]; the clock stands at the steps before."""
        first, second, owed = self._brought_forward(ids)
        first = BETA_1 * first + (1.0 - BETA_1) * grads
        second = BETA_2 * second + (1.0 - BETA_2) * tf.square(grads)
        step = rate.adam * first / (tf.sqrt(second) + EPSILON)
        self.table.scatter_sub(tf.IndexedSlices(step + owed if self.settles else step, ids))
        self._keep(ids, first, second, tf.fill([tf.shape(ids)[0], 1], rate.learning_rate), rate.step)
        if self.settles:
            self.touched.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(ids), True), ids))

    def _brought_forward(self, ids: Any) -> tuple[Any, Any, Any]:
        """The moments as of the clock, and what the rows are owed by then; as they are, where nothing ever is."""
        first, second, rate, last = self._found(ids)
        if not self.settles:
            return first, second, tf.zeros_like(first)
        missed = self._missed(last)
        owed = self._owed(first, second, rate, last)
        return first * tf.pow(BETA_1, missed), second * tf.pow(BETA_2, missed), owed

    def _keep(self, ids: Any, first: Any, second: Any, rate: Any, step: Any) -> None:
        last = tf.fill([tf.shape(ids)[0], 1], tf.cast(step, tf.float32))
        self.slots.scatter_update(tf.IndexedSlices(tf.concat([first, second, rate, last], axis=1), ids))

    def settle(self) -> None:
        """Pay all rows, so that the table is what a reader without ``pending`` should see."""
        if not self.settles:
            return
        owed = np.flatnonzero(self.touched.numpy()).astype(np.int32)
        for start in range(0, len(owed), SETTLED_AT_ONCE):
            self._settle_rows(owed[start : start + SETTLED_AT_ONCE])

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int32)])  # type: ignore[untyped-decorator]
    def _settle_rows(self, ids: Any) -> None:
        first, second, owed = self._brought_forward(ids)
        _, _, rate, last = self._found(ids)
        self.table.scatter_sub(tf.IndexedSlices(owed, ids))
        self._keep(ids, first, second, rate, self.clock)
        more = tf.reshape(self._missed(last) < SPENT_STEPS, [-1])
        self.touched.scatter_update(tf.IndexedSlices(more, ids))


class AdagradRows:
    """Sums of squared gradients of a table's rows, float32 [rows, dim], and the update of some of them."""

    def __init__(self, table: Any) -> None:
        """Args: table: variable [rows, dim]."""
        self.table = table
        self.sums = tf.Variable(tf.fill(table.shape, INITIAL_ACCUMULATOR))

    def variables(self) -> dict[str, Any]:
        """All state, by name."""
        return {"sums": self.sums}

    def update(self, ids: Any, grads: Any, rate: Rate) -> None:
        """One step of the rows ids [n], each once, with gradients [n, dim]."""
        sums = tf.gather(self.sums, ids) + tf.square(grads)
        self.sums.scatter_update(tf.IndexedSlices(sums, ids))
        self.table.scatter_sub(tf.IndexedSlices(rate.learning_rate * grads / tf.sqrt(sums + EPSILON), ids))

    def settle(self) -> None:
        """Nothing is ever owed."""


class DenseWeights:
    """The update of a weight of any shape, by TensorFlow's fused operation; a table's gradient is made dense."""

    def __init__(self, weight: Any, kind: Kind) -> None:
        """Args: weight: variable."""
        self.weight, self.kind = weight, kind
        initial = [0.0, 0.0] if kind == "adam" else [INITIAL_ACCUMULATOR]
        self.slots = [tf.Variable(tf.fill(weight.shape, value)) for value in initial]

    def variables(self) -> dict[str, Any]:
        """All state, by name."""
        names = ("first", "second") if self.kind == "adam" else ("sums",)
        return dict(zip(names, self.slots, strict=True))

    def update(self, grad: Any, rate: Rate) -> None:
        """One step with the gradient of all ranks, of the weight's shape."""
        handles = [slot.handle for slot in self.slots]
        if self.kind == "adagrad":
            tf.raw_ops.ResourceApplyAdagradV2(
                var=self.weight.handle, accum=handles[0], lr=rate.learning_rate, epsilon=EPSILON, grad=grad
            )
            return
        step = tf.cast(rate.step, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=self.weight.handle,
            m=handles[0],
            v=handles[1],
            beta1_power=BETA_1**step,
            beta2_power=BETA_2**step,
            lr=rate.learning_rate,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=EPSILON,
            grad=grad,
        )


class RankOptimizer:
    """Updates the weights of a model by the summed gradients of all ranks, the same on every one of them."""

    def __init__(
        self,
        weights: Sequence[Any],
        kind: Kind,
        communicator: Communicator,
        *,
        min_rows: int,
        settling: Sequence[Any] = (),
        lazy: Sequence[Any] = (),
    ) -> None:
        """Args: weights: ``tf.Variable``, float32, in the order of the gradients; min_rows: smaller tables are dense.
        settling: tables whose reader subtracts ``pending``; lazy: tables that are gathered by another reader.
        """
        self.communicator, self.kind = communicator, kind
        self.clock = tf.Variable(0, dtype=tf.int32)
        self.weights = list(weights)
        self._settling, self._lazy = ({id(table) for table in tables} for tables in (settling, lazy))
        self.states = [self._state(weight, min_rows) for weight in self.weights]

    def _state(self, weight: Any, min_rows: int) -> AdamRows | AdagradRows | DenseWeights:
        if id(weight) not in self._settling | self._lazy or weight.shape[0] < min_rows:
            return DenseWeights(weight, self.kind)
        if self.kind == "adagrad":
            return AdagradRows(weight)
        return AdamRows(weight, self.clock, settles=id(weight) in self._settling)

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

    def variables(self) -> dict[str, Any]:
        """All state, by name, for a checkpoint."""
        named = {
            f"{index}.{name}": variable
            for index, state in enumerate(self.states)
            for name, variable in state.variables().items()
        }
        return {"clock": self.clock, **named}


def _dense(gradient: Any, weight: Any) -> Any:
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.cast(gradient, tf.float32)
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, weight.shape[0])
