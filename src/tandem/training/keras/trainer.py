"""Train a Keras model on one rank of many: the same steps, the same decisions and the same weights on all of them.

Keras' own ``fit`` and Horovod's wrappers of it do not go together (Keras 3 never calls what they override), so the loop
is ours. A model brings a ``KerasTask``; the loop brings steps, collectives, schedule, early stopping, checkpoints,
history and progress:

```
def main(spec, ranks):
    job = ClickJob.model_validate(spec)
    keras_threads()
    task = KerasTask(
        name="wnd", title="Wide & Deep", model=model, rows=training_rows,
        summed_loss=lambda columns: tf.reduce_sum(loss_of(model(columns, training=True), columns["label"])),
        fingerprint=training_rows.fingerprint,
        validate=lambda: {"auc": ..., "log_loss": ...},
        identity={"wnd.batch_size": ...},
    )
    training = Training(KerasTrainer, lambda phase: task, job, LoopParameters.of(job.parameters), ranks, emit)
    training.fit()                     # ends with the best weights, equal on all ranks
    training.save(lambda folder: model.save(folder / "model.keras"))
```

- The loop divides the summed losses by what the rows of all ranks weigh. A loss over more than the rank's own rows uses
  ``ranks.allgather_in_graph``, whose gradient is the sum over the ranks.
- Large tables should be gathered by ``models.keras_features.RowEmbedding``: see ``training.rowwise``.
- Random layers must draw from ``keras.random.SeedGenerator`` (Keras' own do): their states are set anew for every
  (seed, epoch, rank), so that a resumed run draws the same.
- Trained weights are equal on all ranks after every step. Other float weights (moving averages) are a rank's own within
  an epoch, and replaced by their mean over the ranks at its end.
"""

import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tandem.batches.columns import Floats, Ints
from tandem.batches.rows import EpochKey
from tandem.layers.keras_features import RowEmbedding
from tandem.training.keras.optimizer import RankOptimizer
from tandem.training.keras.random_state import average_untrained, seed_layers
from tandem.training.keras.task import KerasTask
from tandem.training.loop import TrainingLoop
from tandem.training.state import Values


class KerasTrainer(TrainingLoop[KerasTask]):
    """One rank's training of one Keras model."""

    def _prepare(self) -> None:
        model = self.task.model
        self.weights = [weight.value for weight in model.weights]
        trained = [weight.value for weight in model.trainable_weights]
        for weight in self.weights:
            self.communicator.broadcast_(weight)
        self.optimizer = self._make_optimizer(trained)
        self._step = self._traced_step(trained)

    def _make_optimizer(self, trained: list[Any]) -> RankOptimizer:
        layers = self.task.model._flatten_layers()
        tables = [layer for layer in layers if isinstance(layer, RowEmbedding)]
        optimizer = RankOptimizer(
            trained,
            self.parameters.optimizer,
            self.communicator,
            steps=self.epochs * self.plan.steps,
            min_rows=self.parameters.rowwise_min_rows,
            settling=[table.table.value for table in tables],
            ids_per_row=[len(table.sizes) for table in tables],
            lazy=[layer.embeddings.value for layer in layers if isinstance(layer, keras.layers.Embedding)],
        )
        for table in tables:
            rows = optimizer.rows_of(table.table.value)
            table.pending = rows.pending if rows is not None else None
        return optimizer

    def _traced_step(self, trained: list[Any]) -> Any:
        """The graph of one step: (ints, floats, learning rate, weight of the global batch) -> this rank's loss."""
        int_names, float_names = self.task.rows.int_names, self.task.rows.float_names
        most_rows = self.most_step_rows

        def step(ints: Any, floats: Any, rate: Any, global_weight: Any) -> Any:
            columns = {name: ints[:, place] for place, name in enumerate(int_names)}
            columns |= {name: floats[:, place] for place, name in enumerate(float_names)}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                for weight in trained:
                    tape.watch(weight)
                loss = self.task.summed_loss(columns) / global_weight
            gradients = tape.gradient(loss, trained)
            self.optimizer.apply(gradients, rate, most_rows)
            return loss

        signature = [
            tf.TensorSpec([None, len(int_names)], tf.int32),
            tf.TensorSpec([None, len(float_names)], tf.float32),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([], tf.float32),
        ]
        return tf.function(step, input_signature=signature, autograph=False, jit_compile=False)

    def _begin_epoch(self, key: EpochKey) -> None:
        seed_layers(self.task.model, [*key, 2])

    def _train_step(self, batch: tuple[Ints, Floats], rate: float, global_weight: float) -> float:
        return float(self._step(*batch, np.float32(rate), np.float32(global_weight)))

    def _end_epoch(self) -> None:
        self.optimizer.settle()
        average_untrained(self.task.model, self.communicator)

    def values(self) -> Values:
        """Copies of all weights, in Keras' order."""
        return [weight.numpy() for weight in self.weights]

    def load(self, values: Values) -> None:
        """Take these weights."""
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)

    def _optimizer_state(self) -> dict[str, npt.NDArray[Any]]:
        return self.optimizer.state()

    def _load_optimizer(self, state: dict[str, npt.NDArray[Any]]) -> None:
        self.optimizer.load(state)


def keras_threads() -> None:
    """Give TensorFlow the threads of the binding plan, before its first operation, and one operation at a time."""
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("TF_NUM_INTRAOP_THREADS", "1")))
    tf.config.threading.set_inter_op_parallelism_threads(1)
