"""Which rank runs on which cores: equal cores per rank, physical cores, no rank across NUMA domains.

A rank owns whole cores, so its CPUs are all the hardware threads of them that the process may use, and it computes
with one thread per core.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tandem.distributed.topology import Core, Topology, format_cpu_list
from tandem.errors import UserError


@dataclass(frozen=True)
class RankBinding:
    """Where one rank runs: CPU ids of the operating system, hwloc's logical core numbers, its NUMA domains."""

    rank: int
    cpus: tuple[int, ...]
    cores: tuple[int, ...]
    numa_domains: tuple[int, ...]
    threads: int
    bound: bool


@dataclass(frozen=True)
class BindingPlan:
    """The bindings of all ranks of one host, what is left over, and what the user should be told."""

    ranks: tuple[RankBinding, ...]
    oversubscribed: bool = False
    leftover_cpus: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    def table(self) -> str:
        """The plan as aligned plain text, one line per rank."""
        rows = [("rank", "cpus", "numa", "threads", "bound")]
        for rank in self.ranks:
            domains = format_cpu_list(rank.numa_domains)
            how = "to cores" if rank.bound else "no"
            rows.append((str(rank.rank), format_cpu_list(rank.cpus), domains, str(rank.threads), how))
        text = align(rows)
        return f"{text}\nleft over: {format_cpu_list(self.leftover_cpus)}" if self.leftover_cpus else text


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as left-aligned columns of plain text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def plan(
    topology: Topology,
    num_ranks: int | Literal["auto"],
    cores_per_rank: int | Literal["auto"],
    *,
    bind: bool = True,
) -> BindingPlan:
    """Place the ranks of one host.

    ``num_ranks`` auto: one per NUMA domain, and at least two where two cores are free. ``cores_per_rank`` auto: the
    most that gives every rank the same number without crossing a domain. More ranks than cores are allowed: unbound,
    one thread each, and said.

    Raises:
        UserError: ``cores_per_rank`` is a number that does not fit the host.
    """
    domains = topology.domains
    ranks = _auto_ranks(topology, cores_per_rank) if num_ranks == "auto" else num_ranks
    if ranks > topology.usable_cores:
        return _oversubscribed(topology, ranks)
    cores = _auto_cores(topology, ranks) if cores_per_rank == "auto" else cores_per_rank
    if ranks * cores > topology.usable_cores:
        raise UserError(
            f"distributed.cores_per_rank: {ranks} ranks of {cores} cores need {ranks * cores}, this host has "
            f"{topology.usable_cores} to use{_quota_note(topology)}; lower cores_per_rank or num_ranks (or set auto)"
        )
    if not bind:
        return _unbound(topology, ranks, cores, ())
    largest = max(len(members) for members in domains.values())
    shares = _spanning(domains, ranks, cores) if cores > largest else _within_domains(domains, ranks, cores)
    return _bound(topology, shares)


def _auto_ranks(topology: Topology, cores_per_rank: int | Literal["auto"]) -> int:
    domains = topology.domains
    wanted = min(max(2, len(domains)), topology.usable_cores)
    if cores_per_rank == "auto":
        return wanted
    while wanted > 1 and _capacity(domains, cores_per_rank, topology.usable_cores) < wanted:
        wanted -= 1
    return wanted


def _auto_cores(topology: Topology, ranks: int) -> int:
    """The largest equal share that keeps every rank inside a domain; across domains only when none does."""
    most = topology.usable_cores // ranks
    fitting = (cores for cores in range(most, 0, -1) if _slots(topology.domains, cores) >= ranks)
    return next(fitting, most)


def _slots(domains: dict[int, tuple[Core, ...]], cores: int) -> int:
    return sum(len(members) // cores for members in domains.values())


def _capacity(domains: dict[int, tuple[Core, ...]], cores: int, usable: int) -> int:
    inside = _slots(domains, cores)
    return min(inside, usable // cores) if inside else usable // cores


def _within_domains(domains: dict[int, tuple[Core, ...]], ranks: int, cores: int) -> list[tuple[Core, ...]]:
    """Fill the domains evenly; neighbouring ranks share a domain."""
    if _slots(domains, cores) < ranks:
        sizes = ", ".join(str(len(members)) for members in domains.values())
        raise UserError(
            f"distributed.cores_per_rank: {ranks} ranks of {cores} cores do not fit into NUMA domains of {sizes} cores "
            "without a rank across two; lower cores_per_rank or num_ranks (or set auto)"
        )
    counts = dict.fromkeys(domains, 0)
    for _ in range(ranks):
        free = [domain for domain in domains if len(domains[domain]) // cores > counts[domain]]
        counts[min(free, key=lambda domain: counts[domain])] += 1
    return [
        members[slot * cores : (slot + 1) * cores]
        for domain, members in domains.items()
        for slot in range(counts[domain])
    ]


def _spanning(domains: dict[int, tuple[Core, ...]], ranks: int, cores: int) -> list[tuple[Core, ...]]:
    every = [core for members in domains.values() for core in members]
    return [tuple(every[rank * cores : (rank + 1) * cores]) for rank in range(ranks)]


def _bound(topology: Topology, shares: Iterable[tuple[Core, ...]]) -> BindingPlan:
    ranks = tuple(
        RankBinding(
            rank=rank,
            cpus=tuple(sorted(cpu for core in share for cpu in core.cpus)),
            cores=tuple(core.index for core in share),
            numa_domains=tuple(sorted({core.numa for core in share})),
            threads=len(share),
            bound=True,
        )
        for rank, share in enumerate(shares)
    )
    used = {cpu for rank in ranks for cpu in rank.cpus}
    return BindingPlan(ranks, leftover_cpus=tuple(cpu for cpu in topology.allowed if cpu not in used))


def _unbound(topology: Topology, ranks: int, threads: int, warnings: tuple[str, ...]) -> BindingPlan:
    domains = tuple(sorted(topology.domains))
    return BindingPlan(
        tuple(RankBinding(rank, topology.allowed, (), domains, threads, bound=False) for rank in range(ranks)),
        oversubscribed=ranks > topology.usable_cores,
        warnings=warnings,
    )


def _oversubscribed(topology: Topology, ranks: int) -> BindingPlan:
    warning = (
        f"{ranks} ranks share {topology.usable_cores} cores{_quota_note(topology)}: unbound, one thread each; "
        "timings of such a run are no scaling measurement"
    )
    return _unbound(topology, ranks, 1, (warning,))


def _quota_note(topology: Topology) -> str:
    if topology.quota is None or math.floor(topology.quota) > topology.usable_cores:
        return ""
    return f" (CPU quota {topology.quota:g})"
