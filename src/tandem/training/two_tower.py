"""Train two towers on one rank of many, and apply them: a task for the Keras loop, and what is made of its result."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tandem.batches.columns import LABEL, ColumnRows
from tandem.distributed.ranks.communicator import Communicator
from tandem.models.tower_layers import Score
from tandem.models.two_tower import join_towers, save_towers
from tandem.training.calibration import first_of, fit_calibration
from tandem.training.history import with_chosen, write_history, write_tensorboard
from tandem.training.keras_loop import KerasTask, KerasTrainer, LoopParameters
from tandem.training.task import Metrics
from tandem.training.two_tower_batch import batch_of
from tandem.training.two_tower_data import columns_of
from tandem.training.two_tower_job import TwoTowerJob
from tandem.training.two_tower_losses import loss_of_step
from tandem.training.two_tower_rows import TowerRows, load_rows, trained_rows
from tandem.training.two_tower_towers import make_towers
from tandem.training.two_tower_validation import Validation, prepare_validation
from tandem.training.two_tower_vectors import Tower, Towers, write_embeddings, write_predictions

Emit = Callable[[dict[str, Any]], None]
# Parameters that may differ between a run and the one that resumes it.
FREE_ON_RESUME = {"resume", "index", "recommendations", "evaluated_users", "checkpoint_seconds"}


class TwoTowerTrainer:
    """One rank's towers, rows and training."""

    def __init__(self, job: TwoTowerJob, communicator: Communicator, emit: Emit) -> None:
        """Read the rank's rows and build the towers; UserError where there is nothing to train on."""
        self.job, self.parameters, self.communicator, self.emit = job, job.parameters, communicator, emit
        user, item = make_towers(job.config, job.parameters.precision, job.seed)
        self.user = Tower(user, "user", job.parameters.model.user)
        self.item = Tower(item, "item", job.parameters.model.item)
        pointwise = job.parameters.pointwise
        self.score = Score(pointwise.initial_scale, pointwise.initial_bias, name="score")
        model = join_towers(user, item, self.score)
        rows = load_rows(job, communicator.rank, communicator.size)
        self.validation = self._validation(rows)
        trained = trained_rows(rows, job, communicator)
        batch_size = self._batch_size(len(trained))
        task = KerasTask(
            name="two_tower",
            title="Two-tower",
            model=model,
            rows=trained,
            summed_loss=loss_of_step(self.user, self.item, self.score, job.parameters, batch_size, communicator),
            validate=self._validate(),
            identity=self._identity(batch_size),
            forgotten=columns_of(job.parameters.model)[0],
            forgotten_rate=job.parameters.unknown_rate,
        )
        parameters = LoopParameters.of(job.parameters.model_copy(update={"batch_size": batch_size}))
        self.loop = KerasTrainer(task, parameters, job.seed, job.checkpoints, communicator, emit)

    def fit(self) -> None:
        """Train; ends with the best weights, the same on all ranks."""
        self.loop.fit()

    def _validation(self, rows: TowerRows) -> Validation | None:
        if rows.held_out is None:
            return None
        return prepare_validation(rows.training, rows.held_out, self.parameters, self.communicator)

    def _validate(self) -> Callable[[], Metrics] | None:
        validation, towers = self.validation, Towers(self.user, self.item)
        return None if validation is None else lambda: validation.metrics(towers, self.communicator)

    def _batch_size(self, rows: int) -> int:
        """What the loop takes for the batch; rows: that this rank trains on. Collective."""
        rows = int(self.communicator.allreduce_scalars({"rows": float(rows)})["rows"])
        chosen = batch_of(self.parameters, rows)
        if self.parameters.batch_size == "auto" and self.communicator.rank == 0:
            text = f"Two-tower trains on batches of {chosen:,} of {rows:,} rows (two_tower.batch_size: auto)"
            self.emit({"event": "message", "level": "info", "message": text})
        return chosen

    def _identity(self, batch_size: int) -> dict[str, Any]:
        values = self.parameters.model_dump(mode="json", exclude=FREE_ON_RESUME) | {"batch_size": batch_size}
        return {f"two_tower.{name}": value for name, value in values.items()}

    def towers(self) -> Towers:
        """The trained towers, with the scale and bias that the loss has learnt, or else fitted to held-out rows."""
        towers = Towers(self.user, self.item)
        if self.parameters.loss == "pointwise":
            return Towers(self.user, self.item, float(self.score.scale), float(self.score.bias))
        rank, size = self.communicator.rank, self.communicator.size
        rows = self.validation.rows if self.validation is not None else load_rows(self.job, rank, size).training
        if isinstance(rows, ColumnRows):
            labels, products = rows.column(LABEL).astype(np.float64), towers.products(rows).astype(np.float64)
        else:
            labels, products = first_of(towers.labelled_products(rows))
        fitted = fit_calibration(products, labels, self.communicator)
        return Towers(self.user, self.item, fitted.scale, fitted.offset)

    def save(self) -> None:
        """All ranks write vectors and predictions into the staging folder, rank 0 the model and the history.

        ``model/``, ``user_embeddings/``, ``item_embeddings/``, ``test_predictions/``, ``history.json``,
        ``tensorboard/``.
        """
        job, staging, towers = self.job, self.job.staging, self.towers()
        rank, size = self.communicator.rank, self.communicator.size
        if rank == 0:
            config = job.config.model_copy(update={"scale": towers.scale, "bias": towers.bias})
            plain = make_towers(job.config, "fp32", job.seed)
            save_towers((self.user.model, self.item.model), plain, config, staging / "model")
            history = with_chosen(self.loop.state.history, self.loop.state.best_epoch)
            write_history(history, staging / "history.json")
            write_tensorboard(history, staging / "tensorboard")
        for tower, table in ((self.user, job.user_features), (self.item, job.item_features)):
            write_embeddings(tower, table, staging / f"{tower.side}_embeddings", job.sizes, rank, size)
        ids, numbers = columns_of(self.parameters.model)
        write_predictions(towers, job.test, staging / "test_predictions", ids, numbers, rank, size)
        self.communicator.barrier()


def train_two_tower(job: TwoTowerJob, communicator: Communicator, emit: Emit) -> None:
    """Train, save and apply: the whole job of a rank."""
    trainer = TwoTowerTrainer(job, communicator, emit)
    trainer.fit()
    trainer.save()
