"""A rank module that tries every collective and reports what came of it."""

from typing import Any

import numpy as np

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank


def torch_results(ranks: Communicator) -> dict[str, Any]:
    import torch

    start = torch.full((3,), float(ranks.rank + 1))
    broadcast = start.clone()
    ranks.broadcast_(broadcast, 1)
    summed = start.clone()
    ranks.allreduce_sum_(summed)
    return {"sum": summed.tolist(), "broadcast": broadcast.tolist(), "weights": trained_weights(ranks)}


def trained_weights(ranks: Communicator) -> str:
    """Ten steps of a small model, each rank on data of its own; the bytes of the weights at the end."""
    import torch

    torch.manual_seed(ranks.rank)
    weights = torch.randn(1000)
    ranks.broadcast_(weights)
    for _ in range(10):
        gradient = torch.tanh(weights) * torch.rand(1000)
        ranks.allreduce_sum_(gradient)
        weights -= 0.1 / ranks.size * gradient
    assert ranks.same_on_all_ranks(weights.numpy().tobytes())
    return weights.numpy().tobytes().hex()


def tensorflow_results(ranks: Communicator) -> dict[str, Any]:
    import tensorflow as tf

    variable = tf.Variable([float(ranks.rank + 1)] * 3)
    ranks.broadcast_(variable, 1)
    summed = ranks.allreduce_sum_(tf.constant([float(ranks.rank + 1)] * 3))
    return {"sum": summed.numpy().tolist(), "broadcast": variable.numpy().tolist()}


def in_pieces(ranks: Communicator, make: Any) -> dict[str, Any]:
    """What is more than MPI counts, were it only able to count to three; make: from an array to a tensor."""
    from tandem.distributed.ranks import mpi_limits

    most, mpi_limits.MOST_ELEMENTS = mpi_limits.MOST_ELEMENTS, 3
    own = np.arange(10.0, dtype=np.float32).reshape(5, 2) * (ranks.rank + 1)
    results = {"sum": ranks.allreduce_sum_(make(own.copy())), "broadcast": ranks.broadcast_(make(own.copy()), 1)}
    mpi_limits.MOST_ELEMENTS = most
    return {name: np.asarray(values).ravel().tolist() for name, values in results.items()}


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    results = torch_results(ranks) if spec["framework"] == "torch" else tensorflow_results(ranks)
    results["in pieces"] = in_pieces(ranks, _tensor_of(spec["framework"]))
    gathered = ranks.allgather(np.full((ranks.rank + 1, 2), ranks.rank, dtype=np.int64))
    emit(
        {
            "event": "results",
            **results,
            "gathered": gathered.tolist(),
            "array": ranks.allreduce_array(np.arange(4).reshape(2, 2) * (ranks.rank + 1)).tolist(),
            "scalars": ranks.allreduce_scalars({"loss": ranks.rank + 0.5, "count": 2}),
            "same": ranks.same_on_all_ranks(b"one text"),
            "different": ranks.same_on_all_ranks(ranks.rank),
        }
    )


def _tensor_of(framework: str) -> Any:
    if framework == "torch":
        import torch

        return torch.from_numpy
    import tensorflow as tf

    return tf.constant


if __name__ == "__main__":
    import json
    import sys
    from pathlib import Path

    run_rank(main, json.loads(Path(sys.argv[1]).read_text())["framework"])
