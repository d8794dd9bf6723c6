"""The plan as arguments of each MPI's mpirun: Open MPI 5 and 4, Intel MPI, MPICH.

Open MPI gets a rankfile: of all its options the only one that says, per rank, which cores, for any plan (``--map-by``
patterns say it for regular ones only). Rankfiles count cores, or with a modifier hardware threads, by hwloc's logical
numbers, and keep no more than 63 characters of a list, the rest being dropped in silence. Intel MPI and MPICH take the
operating system's CPU numbers, per rank of a host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tandem.distributed.binding.table import BindingPlan, RankBinding
from tandem.distributed.topology.cpu_lists import format_cpu_list, format_mask
from tandem.parameters import ChosenMpi

Mpi = Literal["openmpi5", "openmpi4", "intelmpi", "mpich"]
MPI_NAMES: tuple[Mpi, ...] = ("openmpi5", "openmpi4", "intelmpi", "mpich")
# The version of a chosen MPI whose arguments are made.
VERSIONS: Mapping[ChosenMpi, Mpi] = {"openmpi": "openmpi5", "intelmpi": "intelmpi"}

LONGEST_SLOT_LIST = 63


@dataclass(frozen=True)
class Launch:
    """What follows ``mpirun``, what its environment adds, and the rankfile's text ("" where it needs none)."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    rankfile: str = ""


def launch_line(plan: BindingPlan, mpi: Mpi, program: Sequence[str], rankfile: Path) -> Launch:
    """Run ``program`` in every rank of the plan; the rankfile's text, where there is one, belongs into ``rankfile``."""
    if mpi == "openmpi5":
        return _open_mpi_5(plan, program, rankfile)
    if mpi == "openmpi4":
        return _open_mpi_4(plan, program, rankfile)
    return _intel_mpi(plan, program) if mpi == "intelmpi" else _mpich(plan, program)


def binds_itself(plan: BindingPlan, mpi: Mpi) -> bool:
    """Whether this MPI cannot be told the plan, so that it binds nothing and each rank binds itself."""
    if mpi == "intelmpi" or not plan.bound:
        return False
    if mpi == "mpich":  # one list for all hosts
        return len({tuple(rank.cpus for rank in ranks) for ranks in plan.hosts.values()}) > 1
    return any(len(_slots(plan, rank)) > LONGEST_SLOT_LIST for rank in plan.ranks)


def _open_mpi_5(plan: BindingPlan, program: Sequence[str], rankfile: Path) -> Launch:
    start = ("-np", str(len(plan.ranks)), *_open_mpi_hosts(plan))
    if not plan.bound or binds_itself(plan, "openmpi5"):
        crowded = ":OVERSUBSCRIBE" if plan.oversubscribed or plan.here else "slot"
        return Launch((*start, "--map-by", crowded, "--bind-to", "none", *program))
    numbers = ":hwtcpus" if _counts_threads(plan) else ""
    return Launch((*start, "--map-by", f"rankfile:file={rankfile}{numbers}", *program), rankfile=_rankfile(plan))


def _open_mpi_4(plan: BindingPlan, program: Sequence[str], rankfile: Path) -> Launch:
    start = ("-np", str(len(plan.ranks)), *_open_mpi_hosts(plan))
    if not plan.bound or binds_itself(plan, "openmpi4"):
        crowded = ("--oversubscribe",) if plan.oversubscribed or plan.here else ()
        return Launch((*start, *crowded, "--bind-to", "none", *program))
    numbers = ("--use-hwthread-cpus",) if _counts_threads(plan) else ()
    return Launch((*start, *numbers, "--rankfile", str(rankfile), *program), rankfile=_rankfile(plan))


def _open_mpi_hosts(plan: BindingPlan) -> tuple[str, ...]:
    if plan.here:
        return ()
    return "--host", ",".join(f"{host}:{len(ranks)}" for host, ranks in plan.hosts.items())


def _rankfile(plan: BindingPlan) -> str:
    hosts = ("localhost" if plan.here else rank.host for rank in plan.ranks)
    return "".join(
        f"rank {rank.rank}={host} slot={_slots(plan, rank)}\n" for rank, host in zip(plan.ranks, hosts, strict=True)
    )


def _slots(plan: BindingPlan, rank: RankBinding) -> str:
    return format_cpu_list(rank.hardware_threads if _counts_threads(plan) else rank.cores)


def _counts_threads(plan: BindingPlan) -> bool:
    """A rankfile counts one thing on all hosts: threads, as soon as one host's ranks have parts of cores."""
    return not all(rank.whole_cores for rank in plan.ranks)


def _intel_mpi(plan: BindingPlan, program: Sequence[str]) -> Launch:
    """A mask of CPUs per rank of a host. Its bits count single CPUs, hence the unit cell."""
    crowded = {"I_MPI_THREAD_YIELD": "2"} if plan.oversubscribed else {}
    if not plan.bound:
        return Launch(_per_host(plan, program, {}), {"I_MPI_PIN": "0", **crowded})
    domains = {
        host: {"I_MPI_PIN_DOMAIN": f"[{','.join(format_mask(rank.cpus) for rank in ranks)}]"}
        for host, ranks in plan.hosts.items()
    }
    return Launch(_per_host(plan, program, domains), {"I_MPI_PIN": "1", "I_MPI_PIN_CELL": "unit"})


def _mpich(plan: BindingPlan, program: Sequence[str]) -> Launch:
    if not plan.bound or binds_itself(plan, "mpich"):
        return Launch(("-bind-to", "none", *_per_host(plan, program, {})))
    ranks = next(iter(plan.hosts.values()))
    cpus = ",".join("+".join(map(str, rank.cpus)) for rank in ranks)
    return Launch(("-bind-to", f"user:{cpus}", *_per_host(plan, program, {})))


def _per_host(
    plan: BindingPlan, program: Sequence[str], environments: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    """Hydra's command line: one group of arguments per host, each with its own environment, separated by colons."""
    words: list[str] = []
    for host, ranks in plan.hosts.items():
        own = [word for setting in environments.get(host, {}).items() for word in ("-env", *setting)]
        where = [] if plan.here else ["-host", host]
        words += [":"] if words else []
        words += ["-n", str(len(ranks)), *where, *own, *program]
    return tuple(words)
