"""What tests of trainings share: a training cut off between two epochs, and the memory of one in its own process."""

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tandem.distributed.ranks.events import Event, as_json


class InterruptedJobError(Exception):
    pass


class Events(list[dict[str, Any]]):
    """Takes what a training reports; stop_after: interrupts it when so many epochs have been reported."""

    def __init__(self, stop_after: int | None = None) -> None:
        super().__init__()
        self.stop_after = stop_after

    def __call__(self, event: Event | Mapping[str, Any]) -> None:
        self.append(as_json(event))
        if self.stop_after is not None and sum(one["event"] == "epoch" for one in self) >= self.stop_after:
            raise InterruptedJobError

    @property
    def messages(self) -> list[str]:
        return [event.get("message", "") for event in self]


# How a program that `peaks` runs ends; `trainer` has trained the job in its first argument.
REPORT = """
import resource
print({state}.history[-1]["samples"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def peaks(program: str, jobs: list[Path]) -> list[tuple[float, float]]:
    """Of each training, in a process of its own: samples of the last epoch, and the megabytes that it had at most."""

    def one(job: Path) -> tuple[float, float]:
        done = subprocess.run([sys.executable, "-c", program, str(job)], capture_output=True, text=True, check=True)
        samples, megabytes = map(float, done.stdout.split())
        return samples, megabytes

    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(one, jobs))
