"""One rank of two-tower training: ``python -m tandem.training.two_tower_rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    from tandem.training.keras_loop import keras_threads
    from tandem.training.two_tower import train_two_tower
    from tandem.training.two_tower_job import TwoTowerJob

    keras_threads()
    train_two_tower(TwoTowerJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "tensorflow")
