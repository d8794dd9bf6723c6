"""The loop of a training on one rank of many, whatever the framework, the model and the batch: the same steps and
decisions on all of them.

A framework brings the optimizer and the step (``keras_loop``, ``torch_loop``), a model its rows and its loss; the loop
brings equal steps, schedule, validation, early stopping, checkpoints, history and progress. Search, refit and the
training of what is published are runs of it, one after the other (``phases``).
"""

import math
import time
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy.typing as npt

from tandem.batches.rows import EpochKey
from tandem.batches.shards import StepPlan
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit, Epoch, Level, Message, Progress
from tandem.errors import UserError
from tandem.training.checkpoints import Checkpoint, save_checkpoint
from tandem.training.history import Record
from tandem.training.schedules import learning_rate
from tandem.training.state import TrainingState, Values, values_of
from tandem.training.task import LOWER_IS_BETTER, LoopParameters, Task

PROGRESS_SECONDS = 0.25
WEIGHT, OPTIMIZER = "weight", "optimizer."

AnyTask = TypeVar("AnyTask", bound=Task)


class TrainingLoop(ABC, Generic[AnyTask]):
    """One rank's training of one task, in one phase. ``state.history`` has a record per epoch, as ``training.history``
    writes it."""

    def __init__(
        self,
        task: AnyTask,
        parameters: LoopParameters,
        seed: int,
        checkpoints: Path,
        communicator: Communicator,
        emit: Emit,
        state: TrainingState | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        """Give all ranks the weights of rank 0.

        Args:
            task: what is trained.
            parameters: how.
            seed: of every draw.
            checkpoints: the folder of the checkpoint.
            communicator: this rank among the others.
            emit: takes progress, epochs and messages.
            state: of the training so far; a new one where it begins here.
            identity: what a checkpoint is known by; that of the task where it is not given.

        Raises:
            UserError: a rank has no rows to train on, or none for one of its steps.
        """
        self.task, self.parameters, self.seed = task, parameters, seed
        self.checkpoints, self.communicator, self.emit = checkpoints, communicator, emit
        self.state = TrainingState() if state is None else state
        self.plan = self._plan_steps()
        self._prepare()
        self.identity = self._identify() if identity is None else identity
        self._saved_at = time.monotonic()

    @property
    def epochs(self) -> int:
        """Of this phase; the schedule of those after the search comes to its end too, at an earlier epoch."""
        return self.parameters.epochs if self.state.phase == "search" else self.state.best_epoch

    @property
    def most_step_rows(self) -> int:
        """Rows of a step, on the rank that has most."""
        return -(-max(self.plan.shard_rows) // self.plan.steps)

    @abstractmethod
    def _prepare(self) -> None:
        """Make weights equal on all ranks, an optimizer, and the step."""

    @abstractmethod
    def _begin_epoch(self, key: EpochKey) -> None:
        """Random layers draw anew for every key, so that a resumed run draws the same."""

    @abstractmethod
    def _train_step(self, batch: Any, rate: float, global_weight: float) -> float:
        """One step on this rank's rows; returns its share of the mean loss.

        global_weight: what the losses of the step weigh together on all ranks.
        """

    @abstractmethod
    def _end_epoch(self) -> None:
        """Weights are the same on all ranks behind this, those that are not trained too."""

    @abstractmethod
    def values(self) -> Values:
        """Copies of all weights."""

    @abstractmethod
    def load(self, values: Values) -> None:
        """Take these weights, in the order of ``values``."""

    @abstractmethod
    def _optimizer_state(self) -> dict[str, npt.NDArray[Any]]:
        """What the optimizer must have to continue."""

    @abstractmethod
    def _load_optimizer(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Continue from what ``_optimizer_state`` gave."""

    def fit(self) -> None:
        """Train to the last epoch, or until early stopping; ends with the best weights, equal on all ranks.

        Raises UserError where the loss is no longer finite; RuntimeError where the ranks' weights differ.
        """
        if streamed := self.task.rows.describe():
            self.say(f"{self.task.title} {streamed}")
        while self.state.epoch < self.epochs and not self._should_stop():
            record = self._train_epoch(self.state.epoch)
            self._end_epoch()
            self.state.epoch += 1
            record |= self._validated()
            number = {"epoch": len(self.state.history) + 1, "phase": self.state.phase}
            self.state.history.append(record | number)
            self._save_checkpoint()
            if self.communicator.rank == 0:
                self.emit(Epoch.from_json({"phase": self.state.phase, "epochs": self.epochs, **record}))
        if self.state.best_weights is not None:
            self.load(self.state.best_weights)
        self._check_equal_weights()

    def say(self, text: str, level: Level = "info") -> None:
        """A message for the log, of the first rank."""
        if self.communicator.rank == 0:
            self.emit(Message(text, level))

    def _plan_steps(self) -> StepPlan:
        rank, size, rows = self.communicator.rank, self.communicator.size, self.task.rows
        totals = self.communicator.allreduce_scalars(
            {str(other): float(len(rows) if other == rank else 0) for other in range(size)}
        )
        counts = [int(totals[str(other)]) for other in range(size)]
        if min(counts) == 0:
            raise UserError(f"one of {size} ranks has no training rows: use fewer ranks (distributed.num_ranks)")
        return StepPlan.of(counts, rows_of_step(self.parameters.batch_size, rows.samples_per_row), rows.unit)

    def _train_epoch(self, epoch: int) -> Record:
        rank, rows = self.communicator.rank, self.task.rows
        key = EpochKey(self.seed, epoch, rank)
        self._begin_epoch(key)
        started = last_event = time.perf_counter()
        batches = rows.epoch(key)
        loss_sum, done, rate = 0.0, 0, 0.0
        for step in range(self.plan.steps):
            rate = learning_rate(self.parameters, epoch + (step + 1) / self.plan.steps, self.epochs)
            step_rows, batch = self.plan.global_rows(step), batches(self.plan.rows(rank, step))
            loss_sum += self._train_step(batch, rate, step_rows * rows.weight_per_row) * step_rows
            done += step_rows
            now = time.perf_counter()
            if rank == 0 and now - last_event > PROGRESS_SECONDS:
                last_event = now
                mean, samples = loss_sum * self.communicator.size / done, done * rows.samples_per_row
                self._emit_progress(epoch, step, mean, samples / (now - started))
        seconds = time.perf_counter() - started
        train_loss = self.communicator.allreduce_scalars({"loss": loss_sum})["loss"] / done
        if not math.isfinite(train_loss):
            raise UserError(f"training diverged in epoch {epoch + 1}: lower {self.task.name}.learning_rate")
        samples = round(done * rows.samples_per_row)
        return {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            "learning_rate": rate,
            "batch_size": self.parameters.batch_size,
            "steps": self.plan.steps,
            "seconds": seconds,
            "samples": samples,
            "samples_per_second": samples / seconds,
        }

    def _emit_progress(self, epoch: int, step: int, loss: float, speed: float) -> None:
        self.emit(
            Progress(
                epoch=epoch + 1,
                epochs=self.epochs,
                phase=self.state.phase,
                step=step + 1,
                steps=self.plan.steps,
                loss=loss,
                samples_per_second=speed,
            )
        )

    def _validated(self) -> Record:
        """The metrics of this epoch; of a search, the best weights are noted where they are the best so far."""
        metrics = self.task.validate() if self.task.validate is not None else {}
        name = self.parameters.stop_metric
        if self.state.phase == "search":
            if name is None:
                self.state.best_epoch = self.state.epoch
            elif metrics.get(name) is None:
                self._say_undefined(name)
            elif self.state.compare(self._compared(name, metrics[name])):
                self.state.best_weights = self.values()
        return {f"val_{metric}": value for metric, value in metrics.items()}

    def _compared(self, name: str, value: float | None) -> float | None:
        """What is compared, higher is better: the mean of the last epochs' metric, as of few users that of one epoch
        may be high by chance. None where there are too few epochs yet."""
        found = [record.get(f"val_{name}") for record in self.state.history] + [value]
        values = [float(one or 0.0) for one in found]
        if len(values) < self.parameters.stop_smoothing:
            return None
        mean = math.fsum(values[-self.parameters.stop_smoothing :]) / self.parameters.stop_smoothing
        return -mean if name in LOWER_IS_BETTER else mean

    def _say_undefined(self, metric: str) -> None:
        """Without a value to compare, training goes on, and the last epoch is taken for the best."""
        self.state.best_epoch = self.state.epoch
        text = f"{self.task.title}: {metric} is undefined on the held-out rows (are all labels equal?): no early stop"
        self.say(text, "warning")

    def _should_stop(self) -> bool:
        if self.state.phase != "search" or self.parameters.stop_metric is None:
            return False
        return self.state.epoch - self.state.best_epoch >= self.parameters.stop_patience

    def _check_equal_weights(self) -> None:
        checksum = 0
        for values in self.values():
            checksum = zlib.crc32(values.tobytes(), checksum)
        if not self.communicator.same_on_all_ranks(checksum):
            raise RuntimeError("the ranks ended with different weights")

    def _identify(self) -> dict[str, Any]:
        """What a run must agree in with the one that it resumes; collective."""
        fingerprint = self.communicator.allreduce_scalars({"data": float(self.task.fingerprint() % (1 << 40))})
        return {
            **self.task.identity,
            "seed": self.seed,
            "number of ranks": self.communicator.size,
            "data fingerprint": fingerprint["data"],
        }

    def _save_checkpoint(self) -> None:
        if self.communicator.rank != 0 or time.monotonic() - self._saved_at < self.parameters.checkpoint_seconds:
            return
        tensors = {f"{WEIGHT}.{index}": values for index, values in enumerate(self.values())}
        tensors |= {f"{OPTIMIZER}{name}": values for name, values in self._optimizer_state().items()}
        tensors |= self.state.tensors()
        save_checkpoint(Checkpoint(tensors, self.state.to_json(), self.identity), self.checkpoints)
        self._saved_at = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Weights and optimizer of a checkpoint of this phase; its state is the caller's to give."""
        tensors = checkpoint.tensors
        self.load(values_of(tensors, WEIGHT))
        self._load_optimizer(
            {name.removeprefix(OPTIMIZER): values for name, values in tensors.items() if name.startswith(OPTIMIZER)}
        )


def rows_of_step(batch_size: int, samples_per_row: float) -> int:
    """Rows of a step on all ranks together."""
    return max(1, int(batch_size / samples_per_row))
