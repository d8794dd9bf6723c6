"""The result of planning: one row per rank, and what a user should know about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tandem.distributed.topology import format_cpu_list

HEADER = ("rank", "host", "cpus", "threads", "horovod", "numa", "bound")


@dataclass(frozen=True)
class RankBinding:
    """Where one rank runs.

    Attributes:
        cpus: CPU ids of the operating system, those of all hardware threads that the rank owns.
        cores: hwloc's logical numbers of their cores.
        numa_domains: where its memory is.
        threads: computing threads.
        bound: whether the rank may run on these CPUs only.
        host: as MPI knows it.
        local_rank: its number on this host.
        horovod_cpu: the CPU of Horovod's own thread; None: any of the rank's.
        hardware_threads: hwloc's logical numbers of the CPUs.
        whole_cores: whether the ranks of this host have all hardware threads of their cores, so that ``cores`` says it.
    """

    rank: int
    cpus: tuple[int, ...]
    cores: tuple[int, ...]
    numa_domains: tuple[int, ...]
    threads: int
    bound: bool
    host: str = "localhost"
    local_rank: int = 0
    horovod_cpu: int | None = None
    hardware_threads: tuple[int, ...] = ()
    whole_cores: bool = True

    def row(self) -> tuple[str, ...]:
        """The cells below ``HEADER``."""
        horovod = "-" if self.horovod_cpu is None else str(self.horovod_cpu)
        numa, how = format_cpu_list(self.numa_domains), "to cores" if self.bound else "no"
        return str(self.rank), self.host, format_cpu_list(self.cpus), str(self.threads), horovod, numa, how


@dataclass(frozen=True)
class BindingPlan:
    """The bindings of all ranks, host by host.

    Attributes:
        oversubscribed: a host has more ranks than cores.
        named: the user said which hosts, so mpirun is told of them even if it is one.
        leftovers: by host, the usable CPUs that no rank has.
        warnings: what slows a run or is likely a mistake.
        notes: what else explains the plan.
    """

    ranks: tuple[RankBinding, ...]
    oversubscribed: bool = False
    leftovers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    named: bool = False

    @property
    def here(self) -> bool:
        """Whether all ranks are on the host that mpirun is called on."""
        return len(self.hosts) == 1 and not self.named

    @property
    def bound(self) -> bool:
        """Whether ranks are bound: all of them are, or none."""
        return self.ranks[0].bound

    @property
    def hosts(self) -> dict[str, tuple[RankBinding, ...]]:
        """The ranks of each host, in their order."""
        return {
            host: tuple(rank for rank in self.ranks if rank.host == host)
            for host in dict.fromkeys(rank.host for rank in self.ranks)
        }

    def table(self) -> str:
        """The plan as aligned plain text, one line per rank; then what is left over, and the notes."""
        lines = [align([HEADER, *(rank.row() for rank in self.ranks)])]
        for host, cpus in self.leftovers.items():
            where = f" on {host}" if len(self.leftovers) > 1 else ""
            lines += [f"left over{where}: {format_cpu_list(cpus)}"] if cpus else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as left-aligned columns of plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
