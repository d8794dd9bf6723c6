"""One rank of a Keras click model: ``python -m tandem.models.click.keras_rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    from tandem.models.click.job import ClickJob
    from tandem.models.click.keras_task import train_keras_click
    from tandem.training.keras.trainer import keras_threads

    keras_threads()
    train_keras_click(ClickJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "tensorflow")
