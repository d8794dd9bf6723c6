"""One rank of a PyTorch click model: ``python -m tandem.models.click.torch_rank spec.json``."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    import torch

    from tandem.models.click.job import ClickJob
    from tandem.models.click.torch_task import train_torch_click

    # A layer that has no such algorithm says so once, in the rank's log, and trains.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_flush_denormal(True)
    train_torch_click(ClickJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "torch")
