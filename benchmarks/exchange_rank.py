"""A rank that computes, exchanges a gradient, and does both: one after the other, and at the same time."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank

REPEATS, WARM_UP = 300, 20


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Emits the median milliseconds of each way for gradients of the megabytes in the specification."""
    import horovod.torch as hvd
    import torch

    matrix = torch.rand(spec["rows"], spec["rows"])

    def compute() -> None:
        torch.mm(matrix, matrix)

    for megabytes in spec["megabytes"]:
        gradient = torch.zeros(int(megabytes * (1 << 18)))
        name = f"gradient.{megabytes}"

        def begin(gradient: torch.Tensor = gradient, name: str = name) -> int:
            handle: int = hvd.allreduce_async_(gradient, op=hvd.Sum, name=name)
            return handle

        def one_after_the_other(begin: Callable[[], int] = begin) -> None:
            compute()
            hvd.synchronize(begin())

        def at_the_same_time(begin: Callable[[], int] = begin) -> None:
            handle = begin()
            compute()
            hvd.synchronize(handle)

        ways = {
            "computation": compute,
            "exchange": lambda begin=begin: hvd.synchronize(begin()),
            "one after the other": one_after_the_other,
            "at the same time": at_the_same_time,
        }
        found = {way: _milliseconds(work, ranks) for way, work in ways.items()}
        if ranks.rank == 0:
            emit({"event": "measured", "megabytes": megabytes, "milliseconds": found})


def _milliseconds(work: Callable[[], object], ranks: Communicator) -> float:
    times = []
    for repeat in range(WARM_UP + REPEATS):
        if repeat % 10 == 0:
            ranks.barrier()  # the cores' speeds differ: no rank runs ahead
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times[WARM_UP:])


if __name__ == "__main__":
    run_rank(main, "torch")
