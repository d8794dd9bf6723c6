"""Room in /dev/shm, where the ranks of a host meet: looked at before they start, as MPI ends them there without a word.

Measured with Open MPI 5.0.11 and Intel MPI 2021.19: sums, gathers and broadcasts of up to 16 MiB and a thousand
messages under way, on 2, 4 and 8 ranks. Open MPI's ranks each make a file of 16 MiB, refuse to start where that much is
not free, and fill 2.2 to 2.5 MB of it. Intel MPI takes 34 MB for two ranks and 43 MB for four. What is missing in the
middle of a job kills a rank by SIGBUS.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tandem.errors import UserError
from tandem.parameters import ChosenMpi

PLACE = Path("/dev/shm")  # noqa: S108 -- where Linux has its shared memory
_MIB = 1 << 20
# For the job, and for each of its ranks on the host.
_BYTES: dict[ChosenMpi, tuple[int, int]] = {"openmpi": (16 * _MIB, 3 * _MIB), "intelmpi": (28 * _MIB, 4 * _MIB)}
MEND = (
    "give it more (docker run --shm-size=1g; in Kubernetes an emptyDir with medium: Memory at /dev/shm; else mount -o "
    "remount,size=1g /dev/shm), or use fewer ranks"
)


@dataclass(frozen=True)
class Room:
    """Of /dev/shm: its bytes, and those that are free."""

    size: int
    free: int


def room(place: Path = PLACE) -> Room | None:
    """What there is on this host; None without such a place."""
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def needed(ranks: int, mpi: ChosenMpi) -> int:
    """Bytes that so many ranks of one host need there; a single one needs none."""
    job, rank = _BYTES[mpi]
    return job + ranks * rank if ranks > 1 else 0


def check_room(where: str, found: Room | None, ranks: int, mpi: ChosenMpi) -> None:
    """Raise UserError where the ranks of a host would not fit; where: ``on host node1: ``, or nothing for this host."""
    if found is not None and found.free < needed(ranks, mpi):
        raise UserError(
            f"{where}{PLACE} is too small for {ranks} ranks: of its {_mib(found.size)} {_mib(found.free)} are free, "
            f"and they need {_mib(needed(ranks, mpi))}; {MEND}"
        )


def _mib(size: int) -> str:
    return f"{size / _MIB:,.0f} MiB"
