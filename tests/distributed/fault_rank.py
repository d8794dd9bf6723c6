"""A rank of NCF that is hurt in the middle of an epoch, as its specification says.

``nothing yet`` takes its time over every step, until somebody outside hurts it.
"""

import os
import resource
import signal
import time
from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import run_rank
from tandem.models.ncf import rank as ncf_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    from tandem.training.torch.trainer import TorchTrainer

    train_step = TorchTrainer._train_step
    steps = 0

    def hurt_step(trainer: Any, *arguments: Any) -> Any:
        nonlocal steps
        steps += 1
        if spec["what"] == "nothing yet":  # what is done from outside shall find the job at work
            time.sleep(0.05)
        elif steps == spec["steps"] and ranks.rank == spec["who"]:
            act(spec["what"])
        return train_step(trainer, *arguments)

    TorchTrainer._train_step = hurt_step
    ncf_rank.main(spec["job"], ranks)


def act(what: str) -> None:
    if what == "raise":
        raise ValueError("a fault of ours")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(3600)
    if what == "out of memory":
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        bytearray(4 << 30)


if __name__ == "__main__":
    run_rank(main, "torch")
