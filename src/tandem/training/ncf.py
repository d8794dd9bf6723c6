"""Train NCF on one rank of many: the same steps, the same decisions and the same weights on all of them."""

import math
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tandem.batches.interactions import Batch, SharedBatch, epoch_streams
from tandem.batches.shards import StepPlan
from tandem.batches.streamed_interactions import StreamedInteractions
from tandem.distributed.ranks.communicator import Communicator
from tandem.errors import UserError
from tandem.models.ncf import Calibration, save_ncf
from tandem.models.ncf_scorer import EVALUATED
from tandem.parameters import EarlyStoppingParameters
from tandem.training.calibration import first_of, fit_calibration
from tandem.training.checkpoints import Checkpoint, load_checkpoint, remove_checkpoint, save_checkpoint
from tandem.training.flat_optimizers import FlatAdam
from tandem.training.history import Record, with_chosen, write_history, write_tensorboard
from tandem.training.jobs import NCFJob
from tandem.training.losses import summed_loss
from tandem.training.ncf_building import build_ncf, digest_of_buffers
from tandem.training.ncf_data import LabelledPairs, NCFData
from tandem.training.ncf_gradients import NCFGradients, Side
from tandem.training.ncf_sharing import no_negatives, step_rows
from tandem.training.ncf_state import Phase, TrainingState
from tandem.training.ncf_streaming import fingerprint_of_test, load_or_stream
from tandem.training.ncf_validation import labelled_logits, validate_ncf
from tandem.training.schedules import learning_rate

Emit = Callable[[dict[str, Any]], None]
PROGRESS_SECONDS = 0.25
# Parameters that may differ between a run and the one that resumes it.
FREE_ON_RESUME = {"resume", "top_n", "recommend_users", "baselines"}


class NCFTrainer:
    """One rank's training of NCF."""

    def __init__(self, job: NCFJob, communicator: Communicator, emit: Emit) -> None:
        self.job = job
        self.parameters = job.parameters
        self.communicator = communicator
        self.emit = emit
        self.state = TrainingState()
        self._begin("search")
        # Of the search's rows, which are all training rows, whatever phase a checkpoint is from.
        test_rows = fingerprint_of_test(job, communicator.rank, communicator.size)
        self.fingerprint = (self.data.fingerprint + test_rows) % (1 << 40)

    def fit(self) -> None:
        """Train to the last epoch, or until early stopping; ends with the best weights, and the same on all ranks.

        Raises UserError where the loss is no longer finite.
        """
        self._start()
        if self.state.phase == "search":
            self._train_until(self.parameters.epochs)
            if self.state.best_weights is not None:
                self.flat.load(self.state.best_weights)
            self.state.calibration = self._calibrate()
            if self.parameters.refit:
                self._begin("refit")
        if self.state.phase == "refit":
            self._train_until(self.state.best_epoch)
        if self.state.phase != "publish" and self.job.test is not None:
            self._check_equal_weights()
            self.state.evaluated_weights = self.flat.copy()
            self._begin("publish")
        if self.state.phase == "publish":
            self._train_until(self.state.best_epoch)
        self._check_equal_weights()

    def _begin(self, phase: Phase) -> None:
        """Data and a new model for a phase."""
        hold_out = phase == "search" and self.parameters.early_stopping is not None
        rank, size = self.communicator.rank, self.communicator.size
        job = self.job.on_all_rows() if phase == "publish" else self.job
        self.data: NCFData = load_or_stream(job, rank, size, hold_out=hold_out)
        self.plan = self._plan_steps()
        self.model = build_ncf(self.job)
        self.side_features = digest_of_buffers(self.model)
        rows = -(-max(self.plan.shard_rows) // self.plan.steps)
        most_ids: dict[Side, int] = {"users": rows, "items": math.ceil(rows * self.data.training.pairs_per_row)}
        self.gradients = NCFGradients(self.model, self.communicator, most_ids)
        self.flat = self.gradients.flat
        self.communicator.broadcast_(self.flat.values, 0)
        self.optimizer = FlatAdam(
            self.flat.groups,
            weight_decay=self.parameters.weight_decay,
            decoupled=self.parameters.decoupled_weight_decay,
        )
        self.state.phase, self.state.epoch, self.state.best_weights = phase, 0, None

    def _train_until(self, epochs: int) -> None:
        while self.state.epoch < epochs and not self._should_stop():
            record = self._train_epoch(self.state.epoch)
            self.state.epoch += 1
            record |= self._validate()
            number = {"epoch": len(self.state.history) + 1, "phase": self.state.phase}
            self.state.history.append(record | number)
            self._save_checkpoint()
            if self.communicator.rank == 0:
                self.emit({"event": "epoch", "phase": self.state.phase, "epochs": epochs, **record})

    def _check_equal_weights(self) -> None:
        checksum = zlib.crc32(self.flat.copy().numpy().tobytes())
        if not self.communicator.same_on_all_ranks(checksum):
            raise RuntimeError("the ranks ended with different weights")

    def _calibrate(self) -> Calibration:
        """On held-out rows; without any, on training rows if the model was trained on another share of negatives.

        Not at all where no negatives are stored: among positives alone, every probability would be 1.
        """
        rows = self.data.validation.rows if self.data.validation is not None else self.data.stored
        trained_on = self.data.validation is None and self.parameters.negatives == "stored"
        if trained_on or self.parameters.negatives_per_positive == 0:
            return Calibration()
        self.model.eval()
        parts = labelled_logits(self.model, rows)
        labels, logits = next(parts) if isinstance(rows, LabelledPairs) else first_of(parts)
        return fit_calibration(logits, labels, self.communicator)

    def save(self) -> None:
        """Rank 0 writes ``model/``, ``history.json`` and ``tensorboard/`` into the staging folder.

        The model that is evaluated lies in the folder of the published one, where it is another.
        """
        if self.communicator.rank == 0:
            folder = self.job.staging / "model"
            self._save_model(folder)
            if self.state.evaluated_weights is not None:
                published = self.flat.copy()
                self.flat.load(self.state.evaluated_weights)
                self._save_model(folder / EVALUATED)
                self.flat.load(published)
            history = with_chosen(self.state.history, self.state.best_epoch)
            write_history(history, self.job.staging / "history.json")
            write_tensorboard(history, self.job.staging / "tensorboard")
        self.communicator.barrier()

    def _save_model(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_ncf(self.model, folder, calibration=self.state.calibration)

    def _plan_steps(self) -> StepPlan:
        rank, size = self.communicator.rank, self.communicator.size
        totals = self.communicator.allreduce_scalars(
            {str(other): float(len(self.data.training) if other == rank else 0) for other in range(size)}
        )
        rows = [int(totals[str(other)]) for other in range(size)]
        unit = "users" if self.parameters.negatives == "shared" else "training rows"
        return StepPlan.of(rows, step_rows(self.parameters, self.data.training.pairs_per_row), unit)

    def _start(self) -> None:
        if isinstance(self.data.training, StreamedInteractions):
            self._say(f"NCF {self.data.training.rows.describe()}")
        if self.parameters.resume:
            self._resume()
            self._say(f"NCF resumes after epoch {self.state.epoch}")
        elif self.communicator.rank == 0:
            remove_checkpoint(self.job.checkpoints)

    def _say(self, text: str) -> None:
        if self.communicator.rank == 0:
            self.emit({"event": "message", "level": "info", "message": text})

    def _train_epoch(self, epoch: int) -> Record:
        rank, training = self.communicator.rank, self.data.training
        torch.manual_seed(epoch_streams(self.job.seed + 1, epoch, rank).own.initial_seed())
        started = last_event = time.perf_counter()
        batches = training.epoch(epoch_streams(self.job.seed, epoch, rank))
        self.model.train()
        loss_sum, rows = torch.zeros(()), 0
        for step in range(self.plan.steps):
            rate = learning_rate(self.parameters, epoch + (step + 1) / self.plan.steps, self._epochs())
            step_rows = self.plan.global_rows(step)
            loss = self._train_step(batches(self.plan.rows(rank, step)), step_rows, rate)
            loss_sum += loss * step_rows
            rows += step_rows
            now = time.perf_counter()
            if rank == 0 and now - last_event > PROGRESS_SECONDS:
                last_event = now
                mean = float(loss_sum) * self.communicator.size / rows
                self._emit_progress(epoch, step, mean, rows * training.pairs_per_row / (now - started))
        seconds = time.perf_counter() - started
        train_loss = self.communicator.allreduce_scalars({"loss": float(loss_sum)})["loss"] / rows
        if not math.isfinite(train_loss):
            raise UserError(f"training diverged in epoch {epoch + 1}: lower ncf.learning_rate")
        samples = round(rows * training.pairs_per_row)
        return {
            "epoch": epoch + 1,
            "train_loss": train_loss,
            "learning_rate": rate,
            "seconds": seconds,
            "samples": samples,
            "samples_per_second": samples / seconds,
        }

    def _train_step(self, batch: Batch | SharedBatch, global_rows: int, rate: float) -> Tensor:
        """One step; returns this rank's part of the global mean loss."""
        self.flat.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.parameters.precision == "bf16"):
            loss = summed_loss(self.model, batch, self.parameters)
        loss = loss / (global_rows * self.data.training.loss_weight_per_row)
        loss.backward()  # type: ignore[no-untyped-call]
        self.gradients.add_up(batch)
        self.optimizer.step([rate, rate * self.parameters.mlp_learning_rate_factor])
        return loss.detach()

    def _emit_progress(self, epoch: int, step: int, loss: float, speed: float) -> None:
        self.emit(
            {
                "event": "progress",
                "epoch": epoch + 1,
                "epochs": self._epochs(),
                "phase": self.state.phase,
                "step": step + 1,
                "steps": self.plan.steps,
                "loss": loss,
                "samples_per_second": speed,
            }
        )

    def _validate(self) -> Record:
        stopping = self.parameters.early_stopping
        if stopping is None or self.data.validation is None:
            self.state.best_epoch = max(self.state.best_epoch, self.state.epoch)
            return {}
        metrics = validate_ncf(self.model, self.data.validation, self.communicator)
        if stopping.metric not in metrics:
            raise no_negatives(stopping.metric)
        value = self._smoothed(stopping, metrics[stopping.metric])
        if value is None or self.state.best_value is None or value > self.state.best_value:
            self.state.best_value, self.state.best_epoch = value, self.state.epoch
            self.state.best_weights = self.flat.copy()
        return {f"val_{name}": metric for name, metric in metrics.items()}

    def _smoothed(self, stopping: EarlyStoppingParameters, value: float) -> float | None:
        """What is compared, higher is better: of few users, the metric of one epoch may be high by chance.

        None where there are too few epochs yet.
        """
        values = [float(record[f"val_{stopping.metric}"] or 0.0) for record in self.state.history] + [value]
        if len(values) < stopping.smoothing:
            return None
        mean = math.fsum(values[-stopping.smoothing :]) / stopping.smoothing
        return -mean if stopping.metric == "log_loss" else mean

    def _epochs(self) -> int:
        """Epochs of this phase; the schedule of those after the search comes to its end too, at an earlier epoch."""
        return self.parameters.epochs if self.state.phase == "search" else self.state.best_epoch

    def _should_stop(self) -> bool:
        stopping = self.parameters.early_stopping
        if self.state.phase != "search":
            return False
        return stopping is not None and self.state.epoch - self.state.best_epoch >= stopping.patience

    def _identity(self) -> dict[str, Any]:
        parameters = self.parameters.model_dump(mode="json", exclude=FREE_ON_RESUME)
        data = self.communicator.allreduce_scalars({"data": float(self.fingerprint)})
        return {f"ncf.{name}": value for name, value in parameters.items()} | {
            "seed": self.job.seed,
            "number of ranks": self.communicator.size,
            "data fingerprint": data["data"],
            "feature spec": self.job.feature_spec_fingerprint,
            "side features": self.side_features,
        }

    def _save_checkpoint(self) -> None:
        identity = self._identity()
        if self.communicator.rank != 0:
            return
        tensors = {"weights": self.flat.copy(), **self.optimizer.state(), **self.state.tensors()}
        save_checkpoint(Checkpoint(tensors, self.state.to_json(), identity), self.job.checkpoints)

    def _resume(self) -> None:
        """Every rank reads the checkpoint, which therefore must be on storage that all of them see."""
        checkpoint = load_checkpoint(self.job.checkpoints, self._identity())
        tensors = checkpoint.tensors
        if checkpoint.state["phase"] != self.state.phase:
            self._begin(checkpoint.state["phase"])
        self.flat.load(tensors["weights"])
        self.optimizer.load(tensors)
        self.state = TrainingState.from_json(checkpoint.state, tensors)


def train_ncf(job: NCFJob, communicator: Communicator, emit: Emit) -> None:
    """Train and save: the whole job of a rank."""
    trainer = NCFTrainer(job, communicator, emit)
    trainer.fit()
    trainer.save()
