"""The training of a click model on one rank, whatever the framework."""

from collections.abc import Callable
from pathlib import Path

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit
from tandem.models.click.job import ClickJob
from tandem.training.loop import AnyTask, TrainingLoop
from tandem.training.phases import Training
from tandem.training.task import LoopParameters, Phase


def train_click(
    trainer: type[TrainingLoop[AnyTask]],
    make_task: Callable[[ClickJob, Phase, Communicator], AnyTask],
    save_model: Callable[[ClickJob, AnyTask, Path], None],
    job: ClickJob,
    communicator: Communicator,
    emit: Emit,
) -> Training[AnyTask]:
    """The whole job of a rank: train and save.

    Args:
        trainer: the framework's loop.
        make_task: rows and a new model for a phase.
        save_model: writes a task's model into the folder given, which exists.
        job: what to train.
        communicator: this rank among the others.
        emit: takes progress, epochs and messages.

    Raises:
        UserError: what the rows, the model or the training say.
    """
    parameters = LoopParameters.of(job.parameters)
    training = Training(trainer, lambda phase: make_task(job, phase, communicator), job, parameters, communicator, emit)
    training.fit()
    training.save(lambda folder: save_model(job, training.task, folder))
    return training
