"""A whole training on one rank: the search, and where asked for a refit and a last training on the test rows too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic

from tandem.artifacts import EVALUATED
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit
from tandem.training.checkpoints import load_checkpoint, remove_checkpoint
from tandem.training.history import with_chosen, write_history, write_tensorboard
from tandem.training.job import TrainingJob
from tandem.training.loop import AnyTask, TrainingLoop
from tandem.training.state import TrainingState
from tandem.training.task import LoopParameters, Phase


class Training(Generic[AnyTask]):
    """The runs of a loop that a job asks for; ``loop`` is the run at hand, and the last one behind ``fit``."""

    loop: TrainingLoop[AnyTask]

    def __init__(
        self,
        trainer: type[TrainingLoop[AnyTask]],
        make_task: Callable[[Phase], AnyTask],
        job: TrainingJob,
        parameters: LoopParameters,
        communicator: Communicator,
        emit: Emit,
        *,
        publish: bool = False,
    ) -> None:
        """Make the task of the search.

        Args:
            trainer: the framework's loop.
            make_task: rows and a new model for a phase.
            job: where checkpoints and results go.
            parameters: how to train.
            communicator: this rank among the others.
            emit: takes progress, epochs and messages.
            publish: whether a last model is trained on the test rows too.
        """
        self.trainer, self.make_task, self.job = trainer, make_task, job
        self.parameters, self.communicator, self.emit = parameters, communicator, emit
        self.publish = publish
        self.state = TrainingState()
        self._identity: dict[str, Any] | None = None
        self._begin("search")
        self._identity = self.loop.identity  # of the search's rows, whatever phase a checkpoint is from

    @property
    def task(self) -> AnyTask:
        """Of the run at hand."""
        return self.loop.task

    def _begin(self, phase: Phase) -> None:
        self.state.begin(phase)
        self.__dict__.pop("loop", None)  # its rows and its model are not needed beside those of the next
        self.loop = self.trainer(
            self.make_task(phase),
            self.parameters,
            self.job.seed,
            self.job.checkpoints,
            self.communicator,
            self.emit,
            self.state,
            self._identity,
        )

    def fit(self) -> None:
        """Train; ends with the weights to publish, the same on all ranks.

        Raises UserError where the loss is no longer finite, or there is nothing to resume.
        """
        if self.parameters.resume:
            self._resume()
        elif self.communicator.rank == 0:
            remove_checkpoint(self.job.checkpoints)
        if self.state.phase == "search":
            self.loop.fit()
            self.state.found = self.task.conclude()
            if self.parameters.refit:
                self._begin("refit")
        if self.state.phase == "refit":
            self.loop.fit()
        if self.publish and self.state.phase != "publish":
            self.state.evaluated_weights = self.loop.values()
            self._begin("publish")
        if self.state.phase == "publish":
            self.loop.fit()

    def _resume(self) -> None:
        """Every rank reads the checkpoint, which therefore must be on storage that all of them see."""
        checkpoint = load_checkpoint(self.job.checkpoints, self.loop.identity)
        phase = checkpoint.state["phase"]
        if phase != "search":
            self.state.best_epoch = checkpoint.state["best_epoch"]
            self._begin(phase)
        self.loop.restore(checkpoint)
        self.state = self.loop.state = TrainingState.from_json(checkpoint.state, checkpoint.tensors)
        self.loop.say(f"{self.task.title} resumes after epoch {self.state.epoch}")

    def save(self, save_model: Callable[[Path], None]) -> None:
        """Rank 0 writes ``model/``, ``history.json`` and ``tensorboard/`` into the staging folder.

        save_model: writes the model at hand into the folder given, which exists. The model that is evaluated lies in
        the folder of the published one, where it is another.
        """
        if self.communicator.rank == 0:
            folder = self.job.staging / "model"
            self._save_model(save_model, folder)
            if self.state.evaluated_weights is not None:
                published = self.loop.values()
                self.loop.load(self.state.evaluated_weights)
                self._save_model(save_model, folder / EVALUATED)
                self.loop.load(published)
            history = with_chosen(self.state.history, self.state.best_epoch)
            write_history(history, self.job.staging / "history.json")
            write_tensorboard(history, self.job.staging / "tensorboard")
        self.communicator.barrier()

    @staticmethod
    def _save_model(save_model: Callable[[Path], None], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_model(folder)
