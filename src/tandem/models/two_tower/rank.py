"""One rank of two-tower training: ``python -m tandem.models.two_tower.rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    from tandem.models.two_tower.job import TwoTowerJob
    from tandem.models.two_tower.task import train_two_tower
    from tandem.training.keras.trainer import keras_threads

    keras_threads()
    train_two_tower(TwoTowerJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "tensorflow")
