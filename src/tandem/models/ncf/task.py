"""NCF on one rank of many: a task for PyTorch's loop, in each phase of the training."""

import math
from pathlib import Path
from typing import Any, cast

from torch import nn

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit
from tandem.models.ncf.building import build_ncf, digest_of_buffers
from tandem.models.ncf.exchange import NCFGradients
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.loss import summed_loss
from tandem.models.ncf.network import Calibration, NeuMF, save_ncf
from tandem.models.ncf.rows import LabelledPairs, NCFData
from tandem.models.ncf.streaming import fingerprint_of_test, load_or_stream
from tandem.models.ncf.validation import labelled_logits, validate_ncf
from tandem.training.calibration import first_of, fit_calibration
from tandem.training.phases import Training
from tandem.training.task import LoopParameters, Metrics, Phase
from tandem.training.torch.sparse_tables import Kind
from tandem.training.torch.trainer import TorchTask, TorchTrainer

# Parameters that may differ between a run and the one that resumes it.
FREE_ON_RESUME = {"resume", "checkpoint_seconds", "top_n", "recommend_users", "baselines"}


def train_ncf(job: NCFJob, communicator: Communicator, emit: Emit) -> Training[TorchTask]:
    """Train and save: the whole job of a rank."""
    training = ncf_training(job, communicator, emit)
    training.fit()
    training.save(lambda folder: save_trained(training, folder))
    return training


def ncf_training(job: NCFJob, communicator: Communicator, emit: Emit) -> Training[TorchTask]:
    """The training of a rank; UserError where it has no rows to train on."""
    return Training(
        TorchTrainer,
        lambda phase: NCFRun(job, phase, communicator).task(),
        job,
        LoopParameters.of(job.parameters),
        communicator,
        emit,
        publish=job.test is not None,
    )


def save_trained(training: Training[TorchTask], folder: Path) -> None:
    """The model at hand, with the calibration that the search has found."""
    found = Calibration.model_validate(training.state.found["calibration"])
    save_ncf(cast(NeuMF, training.task.model), folder, calibration=found)


class NCFRun:
    """A phase's rows and its new model."""

    def __init__(self, job: NCFJob, phase: Phase, communicator: Communicator) -> None:
        """Read this rank's rows; UserError where there are none to train on."""
        self.job, self.parameters, self.communicator = job, job.parameters, communicator
        hold_out = phase == "search" and job.parameters.early_stopping is not None
        rows = job.on_all_rows() if phase == "publish" else job
        self.data: NCFData = load_or_stream(rows, communicator.rank, communicator.size, hold_out=hold_out)
        self.model = build_ncf(job)

    def task(self) -> TorchTask:
        """What the loop trains."""
        parameters = self.parameters
        return TorchTask(
            name="ncf",
            title="NCF",
            rows=self.data.training,
            fingerprint=self._fingerprint,
            validate=None if self.data.validation is None else self._validate,
            conclude=lambda: {"calibration": self._calibrate().model_dump()},
            identity=self._identity(),
            model=self.model,
            summed_loss=lambda batch: summed_loss(self.model, batch, parameters),
            bf16=parameters.precision == "bf16",
            exchange=self._exchange,
            rate_factors=(1.0, parameters.mlp_learning_rate_factor),
            weight_decay=parameters.weight_decay,
            decoupled_weight_decay=parameters.decoupled_weight_decay,
            constant_buffers=True,
        )

    def _validate(self) -> Metrics:
        return validate_ncf(self.model, self.data.validation, self.communicator) if self.data.validation else {}

    def _exchange(self, model: nn.Module, communicator: Communicator, most_rows: int, optimizer: Kind) -> NCFGradients:
        items = math.ceil(most_rows * self.data.training.samples_per_row)
        return NCFGradients(cast(NeuMF, model), communicator, {"users": most_rows, "items": items})

    def _fingerprint(self) -> int:
        """Of the search's rows, which are all training rows, and of the test rows that are learnt at the end."""
        rank, size = self.communicator.rank, self.communicator.size
        return self.data.fingerprint + fingerprint_of_test(self.job, rank, size)

    def _identity(self) -> dict[str, Any]:
        values = self.parameters.model_dump(mode="json", exclude=FREE_ON_RESUME)
        return {f"ncf.{name}": value for name, value in values.items()} | {
            "feature spec": self.job.feature_spec_fingerprint,
            "side features": digest_of_buffers(self.model),
        }

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
