"""Adam and Adagrad on some rows of a table, at a cost that does not grow with the table.

**Adagrad** does not move a row without gradient, so the row-wise update is Keras' own.

**Adam** does: with the momentum of earlier steps. Rows remember the step of their last gradient; what Adam owes them
since then is a sum over the steps in between (``Momentum``), paid when a row is next read (``pending``, which
``RowEmbedding`` subtracts) or updated, and by ``settle``, which an epoch ends with. The result is Adam's over the whole
table, up to rounding and Adam's epsilon. A table that is gathered by another layer (Keras' own Embedding) is updated as
"lazy Adam" instead: its rows stand still, moments included, until their next gradient.

Bias correction is by the global step, as in Keras. Small tables are trained as dense weights.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults
INITIAL_ACCUMULATOR = 0.1
# Momentum without a gradient decays by so much a step, beside the root of the second moment that divides it.
DECAY = BETA_1 / BETA_2**0.5
# After so many steps it is spent to the last bit of float32.
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
        step = tf.cast(self.step, tf.float32)
        return self.learning_rate * tf.sqrt(1.0 - tf.pow(BETA_2, step)) / (1.0 - tf.pow(BETA_1, step))


class Momentum:
    """How far the steps done so far would have moved a row without gradients since step s, for every s.

    ``sums[s + SPENT_STEPS]`` is ``sum over j = s + 1..now of rate(j) DECAY^(j - s)``, float32, with Adam's bias
    correction in the rates; in units of the row's ``first / (sqrt(second) + epsilon)`` at step s.
    """

    def __init__(self, clock: Any, steps: int) -> None:
        """Args: clock: variable, steps done; steps: at most so many will be done."""
        self.clock = clock
        self.sums = tf.Variable(tf.zeros([steps + SPENT_STEPS + 1]))
        self._powers = tf.constant([DECAY**lag for lag in range(SPENT_STEPS, 0, -1)], tf.float32)

    def since(self, last: Any) -> Any:
        """The sums of rows whose last gradient was at these steps, float32 of the same shape."""
        return tf.gather(self.sums, tf.cast(last, tf.int32) + SPENT_STEPS)

    def advance(self, rate: Rate) -> None:
        """Count the step ``rate.step``, the one after the clock's."""
        places = tf.range(SPENT_STEPS) + rate.step
        self.sums.scatter_add(tf.IndexedSlices(rate.adam * self._powers, places))

    def load(self, sums: npt.NDArray[np.float32]) -> None:
        """Continue from these sums, of a training that may have been planned for fewer steps, or for more."""
        size = self.sums.shape[0]
        self.sums.assign(np.pad(sums, (0, max(0, size - len(sums))))[:size])


class AdamRows:
    """Moments of a table's rows, and the update of some of them.

    slots: float32 [rows, 2 dim + 1]: first and second moment, and the step of the last gradient (exact up to 2^24).
    Side by side, since what a row costs is finding it in memory. touched: bool [rows], where something is owed.
    """

    def __init__(self, table: Any, momentum: Momentum, *, settles: bool) -> None:
        """Args: table: variable [rows, dim]; settles: its reader subtracts ``pending``."""
        self.table, self.momentum, self.settles = table, momentum, settles
        rows, self.dim = table.shape
        self.slots = tf.Variable(tf.zeros([rows, 2 * self.dim + 1]))
        self.touched = tf.Variable(tf.zeros([rows if settles else 0], tf.bool))

    def variables(self) -> dict[str, Any]:
        """All state, by name."""
        return {"slots": self.slots, "touched": self.touched}

    def pending(self, ids: Any) -> Any:
        """What momentum still subtracts from these rows, [n, dim]."""
        return self._owed(*self._found(ids))

    def _found(self, ids: Any) -> tuple[Any, Any, Any]:
        """First and second moments [n, dim], and the step of the last gradient [n, 1], float32."""
        return tuple(tf.split(tf.gather(self.slots, ids), [self.dim, self.dim, 1], axis=1))

    def _missed(self, last: Any) -> Any:
        """Steps since then, float32."""
        return tf.cast(self.momentum.clock, tf.float32) - last

    def _owed(self, first: Any, second: Any, last: Any) -> Any:
        return first / (tf.sqrt(second) + EPSILON) * self.momentum.since(last)

    def update(self, ids: Any, grads: Any, rate: Rate) -> None:
        """One step of the rows ids [n], each once, with gradients [n, dim]; the clock stands at the steps before."""
        first, second, owed = self._brought_forward(ids)
        first = BETA_1 * first + (1.0 - BETA_1) * grads
        second = BETA_2 * second + (1.0 - BETA_2) * tf.square(grads)
        step = rate.adam * first / (tf.sqrt(second) + EPSILON)
        self.table.scatter_sub(tf.IndexedSlices(step + owed if self.settles else step, ids))
        self._keep(ids, first, second, rate.step)
        if self.settles:
            self.touched.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(ids), True), ids))

    def _brought_forward(self, ids: Any) -> tuple[Any, Any, Any]:
        """The moments as of the clock, and what the rows are owed by then; as they are, where nothing ever is."""
        first, second, last = self._found(ids)
        if not self.settles:
            return first, second, tf.zeros_like(first)
        missed, owed = self._missed(last), self._owed(first, second, last)
        return first * tf.pow(BETA_1, missed), second * tf.pow(BETA_2, missed), owed

    def _keep(self, ids: Any, first: Any, second: Any, step: Any) -> None:
        last = tf.fill([tf.shape(ids)[0], 1], tf.cast(step, tf.float32))
        self.slots.scatter_update(tf.IndexedSlices(tf.concat([first, second, last], axis=1), ids))

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
        _, _, last = self._found(ids)
        self.table.scatter_sub(tf.IndexedSlices(owed, ids))
        self._keep(ids, first, second, self.momentum.clock)
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
