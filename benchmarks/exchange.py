"""What an exchange of gradients costs two one-core ranks, and what Horovod's settings and overlap would change of it.

A gradient of NCF's size (1 MB) and of Wide & Deep's (5 MB) is added up beside a computation of some milliseconds,
under several cycle times and fusion thresholds: by itself, after the computation as our loops do, and during it, as a
framework would that sends each layer's gradient as soon as it is there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tandem.distributed.launch import mpirun
from tandem.distributed.launch.launcher import launch
from tandem.parameters import DistributedParameters

MEGABYTES = (1, 5)
ROWS = 700  # of the square matrices that are multiplied: 7 ms at 100 GFLOP/s
SETTINGS = {
    "cycle 5 ms (ours)": {"HOROVOD_CYCLE_TIME": "5"},
    "cycle 1 ms (Horovod's)": {"HOROVOD_CYCLE_TIME": "1"},
    "cycle 20 ms": {"HOROVOD_CYCLE_TIME": "20"},
    "cycle 5 ms, no fusion": {"HOROVOD_CYCLE_TIME": "5", "HOROVOD_FUSION_THRESHOLD": "0"},
}
WAYS = ("computation", "exchange", "one after the other", "at the same time")


def measure(folder: Path) -> dict[str, Any]:
    """Setting -> megabytes -> milliseconds of each way."""
    return {name: _measure(folder / str(place), variables) for place, (name, variables) in enumerate(SETTINGS.items())}


def _measure(folder: Path, variables: dict[str, str]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "measured":
            found[str(event["megabytes"])] = event["milliseconds"]

    with _with_variables(variables):
        launch(
            "benchmarks.exchange_rank",
            {"rows": ROWS, "megabytes": MEGABYTES},
            parameters=DistributedParameters(num_ranks=2, cores_per_rank=1),
            framework="torch",
            work_dir=folder,
            on_event=note,
        )
    return found


@contextmanager
def _with_variables(variables: dict[str, str]) -> Iterator[None]:
    """Ranks started inside have these variables; a user's own environment cannot set them."""
    made = mpirun.own_variables

    def changed(*arguments: Any, **options: Any) -> dict[str, str]:
        return made(*arguments, **options) | variables

    mpirun.own_variables = changed
    try:
        yield
    finally:
        mpirun.own_variables = made


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = ["Exchange of a gradient between two one-core ranks, median milliseconds"]
    lines.append(f"  {'':<36}" + "".join(f"{way:>22}" for way in WAYS))
    for name, by_size in figures.items():
        for megabytes, found in by_size.items():
            lines.append(f"  {f'{name}, {megabytes} MB':<36}" + "".join(f"{found[way]:>22.2f}" for way in WAYS))
    return "\n".join(lines)
