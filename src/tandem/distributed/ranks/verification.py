"""A rank's look from inside at where it runs, beside what the plan says."""

import os
import socket
from pathlib import Path

from tandem.distributed.binding.table import RankBinding
from tandem.distributed.job import mpi_of_environment, started_by_mpi
from tandem.distributed.ranks.event_file import say
from tandem.distributed.ranks.events import RankRow
from tandem.distributed.topology import detect, format_cpu_list
from tandem.errors import UserError


def row_of(planned: RankBinding, bound_by: str) -> RankRow:
    """Where this rank is in fact; ``bound_by``: what ``verify_mask`` returned. Imports no framework."""
    cpus = sorted(os.sched_getaffinity(0))
    return RankRow(
        rank=planned.rank,
        host=socket.gethostname(),
        cpus=cpus,
        numa_domains=sorted({cpu.numa for cpu in detect().cpus if cpu.id in cpus}),
        threads=planned.threads,
        horovod_cpu=planned.horovod_cpu,
        bound_by=bound_by,
        mpi=mpi_of_environment(),
    )


def verify_mask(planned: RankBinding, *, strict: bool, alone: bool) -> str:
    """Check, and where needed mend, this rank's CPU mask.

    Returns who bound it: "mpirun", "launcher", "rank" or "nobody". ``alone``: mpirun could not be told the plan.
    """
    if not planned.bound:
        return "nobody"
    fact = tuple(sorted(os.sched_getaffinity(0)))
    if fact == planned.cpus:
        return "mpirun" if started_by_mpi() else "launcher"
    if not alone:
        found = f"was bound to CPUs {format_cpu_list(fact)}, the plan says {format_cpu_list(planned.cpus)}"
        _differs(planned, found, strict=strict, otherwise="the rank binds itself")
    for thread in Path("/proc/self/task").iterdir():  # a BLAS imported so far has threads already
        os.sched_setaffinity(int(thread.name), planned.cpus)
    return "rank"


def check_horovod_cpu(planned: RankBinding, *, strict: bool) -> None:
    """Check that a thread of this rank, which can only be Horovod's own, has the planned CPU to itself."""
    if planned.horovod_cpu is None or not started_by_mpi():
        return
    masks = [os.sched_getaffinity(int(thread.name)) for thread in Path("/proc/self/task").iterdir()]
    if {planned.horovod_cpu} not in masks:
        _differs(planned, f"has no thread on CPU {planned.horovod_cpu} alone", strict=strict, otherwise="it goes on")


def _differs(planned: RankBinding, found: str, *, strict: bool, otherwise: str) -> None:
    found = f"rank {planned.rank} on {socket.gethostname()} {found}"
    if strict:
        raise UserError(f"{found}; see `make doctor`, or set distributed.strict: false, with which {otherwise}")
    say(f"{found}; {otherwise}", warning=True)
