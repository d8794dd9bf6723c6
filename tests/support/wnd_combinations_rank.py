"""A rank module that trains several jobs, one after the other, and reports the digest of the weights of each."""

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    from tandem.models.click.job import ClickJob
    from tandem.models.click.keras_task import keras_task
    from tandem.training.keras.trainer import KerasTrainer, keras_threads
    from tandem.training.phases import Training
    from tandem.training.task import LoopParameters

    keras_threads()
    for name, specification in spec["jobs"].items():
        job = ClickJob.model_validate(specification)
        parameters = LoopParameters.of(job.parameters)
        if name in spec["interrupted_after"]:
            parameters = replace(parameters, epochs=spec["interrupted_after"][name])
        training = Training(
            KerasTrainer,
            partial(keras_task, job, communicator=ranks),
            job,
            parameters,
            ranks,
            lambda event: None,
        )
        training.fit()
        trainer = training.loop
        digest = hashlib.sha256(b"".join(weight.numpy().tobytes() for weight in trainer.weights)).hexdigest()
        emit({"event": "trained", "name": name, "digest": digest, "history": trainer.state.history})


if __name__ == "__main__":
    run_rank(main, "tensorflow")
