"""One rank of Wide & Deep: ``python -m tandem.training.wide_and_deep_rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    from tandem.training.keras_loop import keras_threads
    from tandem.training.wide_and_deep import train_wide_and_deep
    from tandem.training.wide_and_deep_job import WideAndDeepJob

    keras_threads()
    train_wide_and_deep(WideAndDeepJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "tensorflow")
