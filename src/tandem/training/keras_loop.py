"""Train a Keras model on one rank of many: the same steps, the same decisions and the same weights on all of them.

Keras' own ``fit`` and Horovod's wrappers of it do not go together (Keras 3 never calls what they override), so the loop
is ours. A model brings a ``KerasTask``; the loop brings steps, collectives, schedule, early stopping, checkpoints,
history and progress:

```
def main(spec, ranks):
    job = WideAndDeepJob.model_validate(spec)
    keras_threads()
    task = KerasTask(
        name="wnd", title="Wide & Deep", model=model, rows=training_rows,
        summed_loss=lambda columns: tf.reduce_sum(loss_of(model(columns, training=True), columns["label"])),
        validate=lambda: {"auc": ..., "log_loss": ...},
        identity={"wnd.batch_size": ...},
    )
    trainer = KerasTrainer(task, LoopParameters.of(job.parameters), job.seed, job.checkpoints, ranks, emit)
    trainer.fit()                      # ends with the best weights, equal on all ranks
    if ranks.rank == 0:
        model.save(...)
        write_history(trainer.state.history, job.staging / "history.json")
```

- The loop divides the summed losses by the rows of all ranks. A loss over more than the rank's own rows uses
  ``ranks.allgather_in_graph``, whose gradient is the sum over the ranks.
- Large tables should be gathered by ``models.keras_features.RowEmbedding``: see ``training.rowwise``.
- Random layers must draw from ``keras.random.SeedGenerator`` (Keras' own do): their states are set anew for every
  (seed, epoch, rank), so that a resumed run draws the same.
- Trained weights are equal on all ranks after every step. Other float weights (moving averages) are a rank's own within
  an epoch, and replaced by their mean over the ranks at its end.
"""

import math
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tandem.batches.columns import epoch_draws, forget
from tandem.batches.shards import StepPlan
from tandem.batches.streaming import StreamedRows
from tandem.distributed.collectives import Communicator
from tandem.errors import UserError
from tandem.models.keras_features import RowEmbedding
from tandem.training.checkpoints import Checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from tandem.training.history import Record
from tandem.training.keras_state import average_untrained, seed_layers
from tandem.training.keras_task import LOWER_IS_BETTER, KerasTask, LoopParameters, TrainingState
from tandem.training.rank_optimizer import RankOptimizer
from tandem.training.schedules import learning_rate

__all__ = ["KerasTask", "KerasTrainer", "LoopParameters", "keras_threads"]

Emit = Callable[[dict[str, Any]], None]
PROGRESS_SECONDS = 0.25
OPTIMIZER = "optimizer."


class KerasTrainer:
    """One rank's training of one task. ``state.history`` has a record per epoch, as ``training.history`` writes it."""

    def __init__(
        self,
        task: KerasTask,
        parameters: LoopParameters,
        seed: int,
        checkpoints: Path,
        communicator: Communicator,
        emit: Emit,
    ) -> None:
        """Give all ranks the weights of rank 0. Raises UserError where a rank has no rows to train on."""
        self.task, self.parameters, self.seed = task, parameters, seed
        self.checkpoints, self.communicator, self.emit = checkpoints, communicator, emit
        self.state = TrainingState()
        self.plan = self._plan_steps()
        self.weights = [weight.value for weight in task.model.weights]
        trained = [weight.value for weight in task.model.trainable_weights]
        for weight in self.weights:
            communicator.broadcast_(weight)
        self.optimizer = self._optimizer(trained)
        self.best: list[npt.NDArray[Any]] | None = None
        self._step = self._traced_step(trained)
        self._identity = self._identify()
        self._saved_at = time.monotonic()

    def fit(self) -> None:
        """Train to the last epoch, or until early stopping; ends with the best weights, equal on all ranks.

        Raises UserError where the loss is no longer finite; RuntimeError where the ranks' weights differ.
        """
        self._start()
        while self.state.epoch < self.parameters.epochs and not self._should_stop():
            record = self._train_epoch(self.state.epoch)
            self.optimizer.settle()
            average_untrained(self.task.model, self.communicator)
            self.state.epoch += 1
            record |= self._validated()
            self.state.history.append(record)
            self._save_checkpoint()
            if self.communicator.rank == 0:
                self.emit({"event": "epoch", "epochs": self.parameters.epochs, **record})
        if self.best is not None:
            self._load(self.best)
        self._check_equal_weights()

    def _plan_steps(self) -> StepPlan:
        rank, size = self.communicator.rank, self.communicator.size
        rows = len(self.task.rows)
        totals = self.communicator.allreduce_scalars(
            {str(other): float(rows if other == rank else 0) for other in range(size)}
        )
        counts = [int(totals[str(other)]) for other in range(size)]
        if min(counts) == 0:
            raise UserError(f"one of {size} ranks has no training rows: use fewer ranks (distributed.num_ranks)")
        return StepPlan.of(counts, self.parameters.batch_size)

    def _optimizer(self, trained: list[Any]) -> RankOptimizer:
        layers = self.task.model._flatten_layers()
        tables = [layer for layer in layers if isinstance(layer, RowEmbedding)]
        optimizer = RankOptimizer(
            trained,
            self.parameters.optimizer,
            self.communicator,
            steps=self.parameters.epochs * self.plan.steps,
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
        """The graph of one step: (ints, floats, learning rate, rows of all ranks) -> this rank's share of the loss."""
        int_names, float_names = self.task.rows.int_names, self.task.rows.float_names
        most_rows = -(-max(self.plan.shard_rows) // self.plan.steps)

        def step(ints: Any, floats: Any, rate: Any, global_rows: Any) -> Any:
            columns = {name: ints[:, place] for place, name in enumerate(int_names)}
            columns |= {name: floats[:, place] for place, name in enumerate(float_names)}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                for weight in trained:
                    tape.watch(weight)
                loss = self.task.summed_loss(columns) / global_rows
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

    def _start(self) -> None:
        if self.communicator.rank == 0 and isinstance(self.task.rows, StreamedRows):
            text = f"{self.task.title} {self.task.rows.describe()}"
            self.emit({"event": "message", "level": "info", "message": text})
        if self.parameters.resume:
            self._resume()
            if self.communicator.rank == 0:
                text = f"{self.task.title} resumes after epoch {self.state.epoch}"
                self.emit({"event": "message", "level": "info", "message": text})
        elif self.communicator.rank == 0:
            remove_checkpoint(self.checkpoints)

    def _train_epoch(self, epoch: int) -> Record:
        rank, rows = self.communicator.rank, self.task.rows
        seed_layers(self.task.model, [self.seed, epoch, rank, 2])
        draws = np.random.default_rng([self.seed, epoch, rank, 1])
        forgotten = [rows.int_names.index(name) for name in self.task.forgotten]
        started = last_event = time.perf_counter()
        batches = rows.epoch(epoch_draws(self.seed, epoch, rank))
        loss_sum, done, rate = 0.0, 0, 0.0
        for step in range(self.plan.steps):
            rate = learning_rate(self.parameters, epoch + (step + 1) / self.plan.steps)
            ints, floats = batches(self.plan.rows(rank, step))
            step_rows = self.plan.global_rows(step)
            ints = forget(ints, forgotten, self.task.forgotten_rate, draws)
            loss = self._step(ints, floats, np.float32(rate), np.float32(step_rows))
            loss_sum += float(loss) * step_rows
            done += step_rows
            now = time.perf_counter()
            if rank == 0 and now - last_event > PROGRESS_SECONDS:
                last_event = now
                self._emit_progress(epoch, step, loss_sum * self.communicator.size / done, done / (now - started))
        seconds = time.perf_counter() - started
        train_loss = self.communicator.allreduce_scalars({"loss": loss_sum})["loss"] / done
        if not math.isfinite(train_loss):
            raise UserError(f"training diverged in epoch {epoch + 1}: lower {self.task.name}.learning_rate")
        return {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            "learning_rate": rate,
            "seconds": seconds,
            "samples": done,
            "samples_per_second": done / seconds,
        }

    def _emit_progress(self, epoch: int, step: int, loss: float, speed: float) -> None:
        self.emit(
            {
                "event": "progress",
                "epoch": epoch + 1,
                "epochs": self.parameters.epochs,
                "step": step + 1,
                "steps": self.plan.steps,
                "loss": loss,
                "samples_per_second": speed,
            }
        )

    def _validated(self) -> Record:
        """The metrics of this epoch, and the best weights where they are the best so far."""
        metrics = self.task.validate() if self.task.validate is not None else {}
        name = self.parameters.stop_metric
        if name is None:
            self.state.best_epoch = self.state.epoch
        else:
            value = metrics.get(name)
            if value is None:
                self._say_undefined(name)
            elif self.state.improves(-value if name in LOWER_IS_BETTER else value):
                self.best = [weight.numpy() for weight in self.weights]
        return {f"val_{metric}": value for metric, value in metrics.items()}

    def _say_undefined(self, metric: str) -> None:
        """Without a value to compare, training goes on, and the last epoch is taken for the best."""
        self.state.best_epoch = self.state.epoch
        if self.communicator.rank == 0:
            text = (
                f"{self.task.title}: {metric} is undefined on the held-out rows (are all labels equal?): no early stop"
            )
            self.emit({"event": "message", "level": "warning", "message": text})

    def _should_stop(self) -> bool:
        waited = self.state.epoch - self.state.best_epoch
        return self.parameters.stop_metric is not None and waited >= self.parameters.stop_patience

    def _load(self, values: list[npt.NDArray[Any]]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.assign(value)

    def _check_equal_weights(self) -> None:
        checksum = 0
        for weight in self.weights:
            checksum = zlib.crc32(weight.numpy().tobytes(), checksum)
        if not self.communicator.same_on_all_ranks(checksum):
            raise RuntimeError("the ranks ended with different weights")

    def _identify(self) -> dict[str, Any]:
        """What a run must agree in with the one that it resumes; collective."""
        fingerprint = self.communicator.allreduce_scalars({"data": float(self.task.rows.fingerprint() % (1 << 40))})
        return {
            **self.task.identity,
            "seed": self.seed,
            "number of ranks": self.communicator.size,
            "data fingerprint": fingerprint["data"],
        }

    def _save_checkpoint(self) -> None:
        if self.communicator.rank != 0 or time.monotonic() - self._saved_at < self.parameters.checkpoint_seconds:
            return
        tensors = {f"weight.{index}": weight.numpy() for index, weight in enumerate(self.weights)}
        tensors |= {f"{OPTIMIZER}{name}": values for name, values in self.optimizer.state().items()}
        tensors |= {f"best.{index}": value for index, value in enumerate(self.best or ())}
        save_checkpoint(Checkpoint(tensors, asdict(self.state), self._identity), self.checkpoints, "np")
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        """Every rank reads the checkpoint, which therefore must be on storage that all of them see."""
        checkpoint = load_checkpoint(self.checkpoints, self._identity, "np")
        tensors = checkpoint.tensors
        self._load([tensors[f"weight.{index}"] for index in range(len(self.weights))])
        self.optimizer.load(
            {name.removeprefix(OPTIMIZER): values for name, values in tensors.items() if name.startswith(OPTIMIZER)}
        )
        if "best.0" in tensors:
            self.best = [tensors[f"best.{index}"] for index in range(len(self.weights))]
        self.state = TrainingState(**checkpoint.state)


def keras_threads() -> None:
    """Give TensorFlow the threads of the binding plan, before its first operation, and one operation at a time."""
    tf.config.threading.set_intra_op_parallelism_threads(int(os.environ.get("TF_NUM_INTRAOP_THREADS", "1")))
    tf.config.threading.set_inter_op_parallelism_threads(1)
