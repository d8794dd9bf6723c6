"""Train two towers on one rank of many, and apply them: a task for the Keras loop, and what is made of its result."""

from pathlib import Path
from typing import Any

import numpy as np

from tandem.artifacts import Calibration
from tandem.batches.columns import LABEL, ColumnRows, IdDropout
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit, Message
from tandem.layers.towers import Score
from tandem.models.two_tower.batch_size import batch_of
from tandem.models.two_tower.building import make_towers
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.keys import columns_of
from tandem.models.two_tower.network import join_towers, save_towers
from tandem.models.two_tower.rows import load_rows, trained_rows
from tandem.models.two_tower.step import loss_of_step
from tandem.models.two_tower.validation import prepare_validation
from tandem.models.two_tower.vectors import Tower, Towers, write_embeddings, write_predictions
from tandem.training.calibration import first_of, fit_calibration
from tandem.training.keras.task import KerasTask
from tandem.training.keras.trainer import KerasTrainer
from tandem.training.loop import TrainingLoop
from tandem.training.phases import Training
from tandem.training.task import LoopParameters, Metrics, Phase

# Parameters that may differ between a run and the one that resumes it.
FREE_ON_RESUME = {"resume", "index", "recommendations", "evaluated_users", "checkpoint_seconds"}


class TowersRun:
    """A phase's rows and its new towers."""

    def __init__(self, job: TwoTowerJob, phase: Phase, communicator: Communicator) -> None:
        """Read the rank's rows and build the towers; UserError where there is nothing to train on."""
        self.job, self.parameters, self.communicator = job, job.parameters, communicator
        user, item = make_towers(job.config, job.parameters.precision, job.seed)
        self.user = Tower(user, "user", job.parameters.model.user)
        self.item = Tower(item, "item", job.parameters.model.item)
        pointwise = job.parameters.pointwise
        self.score = Score(pointwise.initial_scale, pointwise.initial_bias, name="score")
        self.model = join_towers(user, item, self.score)
        rows = load_rows(job, communicator.rank, communicator.size, hold_out=phase == "search")
        self.validation = (
            None
            if rows.held_out is None
            else prepare_validation(rows.training, rows.held_out, job.parameters, communicator)
        )
        self.rows = trained_rows(rows, job, communicator)

    @property
    def all_rows(self) -> int:
        """Rows that all ranks train on; collective."""
        return int(self.communicator.allreduce_scalars({"rows": float(len(self.rows))})["rows"])

    def task(self, batch_size: int) -> KerasTask:
        """What the loop trains; batch_size: rows of a step on all ranks together."""
        parameters = self.parameters
        return KerasTask(
            name="two_tower",
            title="Two-tower",
            model=self.model,
            rows=IdDropout(self.rows, columns_of(parameters.model)[0], parameters.unknown_rate),
            fingerprint=self.rows.fingerprint,
            summed_loss=loss_of_step(self.user, self.item, self.score, parameters, batch_size, self.communicator),
            validate=None if self.validation is None else self._validate,
            conclude=self._fitted,
            identity=self._identity(batch_size),
        )

    def _validate(self) -> Metrics:
        towers = Towers(self.user, self.item)
        return self.validation.metrics(towers, self.communicator) if self.validation else {}

    def _identity(self, batch_size: int) -> dict[str, Any]:
        values = self.parameters.model_dump(mode="json", exclude=FREE_ON_RESUME) | {"batch_size": batch_size}
        return {f"two_tower.{name}": value for name, value in values.items()}

    def _fitted(self) -> dict[str, float]:
        """Scale and bias fitted to held-out rows, without any to the training rows; none where the loss learns them."""
        if self.parameters.loss == "pointwise":
            return {}
        rank, size = self.communicator.rank, self.communicator.size
        towers = Towers(self.user, self.item)
        held_out = self.validation
        rows = held_out.rows if held_out is not None else load_rows(self.job, rank, size, hold_out=True).training
        if isinstance(rows, ColumnRows):
            labels, products = rows.column(LABEL).astype(np.float64), towers.products(rows).astype(np.float64)
        else:
            labels, products = first_of(towers.labelled_products(rows))
        fitted = fit_calibration(products, labels, self.communicator)
        return {"scale": fitted.scale, "bias": fitted.offset}


class TwoTowerTrainer:
    """One rank's training of two towers; ``run`` is the phase at hand."""

    def __init__(self, job: TwoTowerJob, communicator: Communicator, emit: Emit) -> None:
        """Read the rank's rows and build the towers; UserError where there is nothing to train on."""
        self.job, self.parameters, self.communicator, self.emit = job, job.parameters, communicator, emit
        self.run = TowersRun(job, "search", communicator)
        batch_size = self._batch_size(self.run.all_rows)

        def make_task(phase: Phase) -> KerasTask:
            if phase != "search":
                self.run = TowersRun(job, phase, communicator)
            return self.run.task(batch_size)

        parameters = LoopParameters.of(job.parameters.model_copy(update={"batch_size": batch_size}))
        self.training = Training(KerasTrainer, make_task, job, parameters, communicator, emit)

    @property
    def loop(self) -> TrainingLoop[KerasTask]:
        """The run at hand."""
        return self.training.loop

    def fit(self) -> None:
        """Train; ends with the best weights, the same on all ranks."""
        self.training.fit()

    def _batch_size(self, rows: int) -> int:
        """What the loop takes for the batch; rows: that all ranks train on."""
        chosen = batch_of(self.parameters, rows)
        if self.parameters.batch_size == "auto" and self.communicator.rank == 0:
            text = f"Two-tower trains on batches of {chosen:,} of {rows:,} rows (two_tower.batch_size: auto)"
            self.emit(Message(text))
        return chosen

    def towers(self) -> Towers:
        """The trained towers, with the scale and bias that the loss has learnt, or else fitted to held-out rows."""
        user, item, score = self.run.user, self.run.item, self.run.score
        if self.parameters.loss == "pointwise":
            return Towers(user, item, float(score.scale), float(score.bias))
        return Towers(user, item, **self.training.state.found)

    def save(self) -> None:
        """All ranks write vectors and predictions into the staging folder, rank 0 the model and the history.

        ``model/``, ``user_embeddings/``, ``item_embeddings/``, ``test_predictions/``, ``history.json``,
        ``tensorboard/``.
        """
        job, staging, towers = self.job, self.job.staging, self.towers()
        rank, size = self.communicator.rank, self.communicator.size
        self.training.save(lambda folder: self._save_model(folder, towers))
        for tower, table in ((towers.user, job.user_features), (towers.item, job.item_features)):
            write_embeddings(tower, table, staging / f"{tower.side}_embeddings", job.sizes, rank, size)
        ids, numbers = columns_of(self.parameters.model)
        write_predictions(towers, job.test, staging / "test_predictions", ids, numbers, rank, size)
        self.communicator.barrier()

    def _save_model(self, folder: Path, towers: Towers) -> None:
        config = self.job.config.model_copy(update={"calibration": Calibration(scale=towers.scale, offset=towers.bias)})
        plain = make_towers(self.job.config, "fp32", self.job.seed)
        save_towers((towers.user.model, towers.item.model), plain, config, folder)


def train_two_tower(job: TwoTowerJob, communicator: Communicator, emit: Emit) -> None:
    """Train, save and apply: the whole job of a rank."""
    trainer = TwoTowerTrainer(job, communicator, emit)
    trainer.fit()
    trainer.save()
