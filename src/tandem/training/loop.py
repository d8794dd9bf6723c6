"""The loop of a training on one rank of many, whatever the framework: the same steps and decisions on all of them.

A framework brings the model, the optimizer and the step (``keras_loop``, ``torch_loop``); the loop brings equal steps,
schedule, validation, early stopping, checkpoints, history and progress.
"""

import math
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import Floats, Ints, epoch_draws, forget
from tandem.batches.shards import StepPlan
from tandem.batches.streaming import StreamedRows
from tandem.distributed.ranks.communicator import Communicator
from tandem.errors import UserError
from tandem.training.checkpoints import Checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from tandem.training.history import Record, with_chosen, write_history, write_tensorboard
from tandem.training.schedules import learning_rate
from tandem.training.task import LOWER_IS_BETTER, LoopParameters, Task, TrainingState

Emit = Callable[[dict[str, Any]], None]
Values = list[npt.NDArray[Any]]
PROGRESS_SECONDS = 0.25
OPTIMIZER = "optimizer."

AnyTask = TypeVar("AnyTask", bound=Task)


class TrainingLoop(ABC, Generic[AnyTask]):
    """One rank's training of one task. ``state.history`` has a record per epoch, as ``training.history`` writes it."""

    def __init__(
        self,
        task: AnyTask,
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
        self.best: Values | None = None
        self._prepare()
        self._identity = self._identify()
        self._saved_at = time.monotonic()

    @abstractmethod
    def _prepare(self) -> None:
        """Make weights equal on all ranks, an optimizer, and the step."""

    @abstractmethod
    def _begin_epoch(self, epoch: int) -> None:
        """Random layers draw anew for every (seed, epoch, rank), so that a resumed run draws the same."""

    @abstractmethod
    def _train_step(self, ints: Ints, floats: Floats, rate: float, global_rows: int) -> float:
        """One step on this rank's rows; returns its share of the mean loss over the rows of all ranks."""

    @abstractmethod
    def _end_epoch(self) -> None:
        """Weights are the same on all ranks behind this, those that are not trained too."""

    @abstractmethod
    def _values(self) -> Values:
        """Copies of all weights."""

    @abstractmethod
    def _load(self, values: Values) -> None:
        """The inverse."""

    @abstractmethod
    def _optimizer_state(self) -> dict[str, npt.NDArray[Any]]:
        """What the optimizer must have to continue."""

    @abstractmethod
    def _load_optimizer(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """The inverse."""

    def fit(self) -> None:
        """Train to the last epoch, or until early stopping; ends with the best weights, equal on all ranks.

        Raises UserError where the loss is no longer finite; RuntimeError where the ranks' weights differ.
        """
        self._start()
        while self.state.epoch < self.parameters.epochs and not self._should_stop():
            record = self._train_epoch(self.state.epoch)
            self._end_epoch()
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
        self._begin_epoch(epoch)
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
            loss_sum += self._train_step(ints, floats, rate, step_rows) * step_rows
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
            "batch_size": self.parameters.batch_size,
            "steps": self.plan.steps,
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
                self.best = self._values()
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

    def _check_equal_weights(self) -> None:
        checksum = 0
        for values in self._values():
            checksum = zlib.crc32(values.tobytes(), checksum)
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
        tensors = {f"weight.{index}": values for index, values in enumerate(self._values())}
        tensors |= {f"{OPTIMIZER}{name}": values for name, values in self._optimizer_state().items()}
        tensors |= {f"best.{index}": value for index, value in enumerate(self.best or ())}
        save_checkpoint(Checkpoint(tensors, asdict(self.state), self._identity), self.checkpoints, "np")
        self._saved_at = time.monotonic()

    def _resume(self) -> None:
        """Every rank reads the checkpoint, which therefore must be on storage that all of them see."""
        checkpoint = load_checkpoint(self.checkpoints, self._identity, "np")
        tensors = checkpoint.tensors
        self._load([tensors[f"weight.{index}"] for index in range(self._count("weight.", tensors))])
        self._load_optimizer(
            {name.removeprefix(OPTIMIZER): values for name, values in tensors.items() if name.startswith(OPTIMIZER)}
        )
        if "best.0" in tensors:
            self.best = [tensors[f"best.{index}"] for index in range(self._count("best.", tensors))]
        self.state = TrainingState(**checkpoint.state)

    @staticmethod
    def _count(prefix: str, tensors: dict[str, Any]) -> int:
        return sum(name.startswith(prefix) for name in tensors)


def train_and_publish(loop: TrainingLoop[AnyTask], staging: Path, save_model: Callable[[Path], None]) -> None:
    """The whole job of a rank: train; rank 0 writes ``model/``, ``history.json`` and ``tensorboard/``.

    staging: for these; save_model: writes the trained model into the folder given. Raises what ``fit`` raises.
    """
    loop.fit()
    if loop.communicator.rank == 0:
        save_model(staging / "model")
        history = with_chosen(loop.state.history, loop.state.best_epoch)
        write_history(history, staging / "history.json")
        write_tensorboard(history, staging / "tensorboard")
    loop.communicator.barrier()
