"""One rank of a PyTorch model: ``python -m tandem.training.torch_click_rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    import torch

    from tandem.training.torch_click import train_torch_click
    from tandem.training.wide_and_deep_job import WideAndDeepJob

    # A layer that has no such algorithm says so once, in the rank's log, and trains.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_flush_denormal(True)
    train_torch_click(WideAndDeepJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "torch")
