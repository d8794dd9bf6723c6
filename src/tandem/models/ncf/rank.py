"""One rank of NCF training: ``python -m tandem.models.ncf.rank spec.json``, started by the launcher."""

from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train the job that the specification describes."""
    import torch

    from tandem.models.ncf.job import NCFJob
    from tandem.models.ncf.task import train_ncf

    torch.use_deterministic_algorithms(True)
    # Which would write every result twice.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # Adam's moments of rows without gradients decay into denormal numbers, with which a core is many times slower.
    torch.set_flush_denormal(True)
    train_ncf(NCFJob.model_validate(spec), ranks, emit)


if __name__ == "__main__":
    run_rank(main, "torch")
