"""Places ranks: whole cores, as many for each rank of a host, no rank across domains, a core for communication.

A rank owns all usable hardware threads of its cores, and computes with one thread per core that is not kept for
communication. Hosts are planned one by one: each may have other cores, another cpuset, another quota.
"""

from collections.abc import Sequence
from dataclasses import replace

from tandem.distributed.binding import explicit
from tandem.distributed.binding.shares import auto_cores, auto_ranks, shares
from tandem.distributed.binding.table import BindingPlan, RankBinding
from tandem.distributed.binding.warnings import crossing, idle, limits, of_host, oversubscription
from tandem.distributed.topology import Core, Topology
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

LARGE_RANK_CORES = 8

Share = tuple[Core, ...]


def plan(
    hosts: Sequence[Topology], parameters: DistributedParameters, ranks_per_host: Sequence[int] | None = None
) -> BindingPlan:
    """Place all ranks of a job, host by host.

    More ranks than cores are allowed on a host: then no rank of the job is bound, those of that host have one thread
    each, and it is said.

    Args:
        hosts: the hosts, in the order of the ranks.
        parameters: how many ranks, and where.
        ranks_per_host: instead of ``apportion``'s.

    Raises:
        UserError: what the parameters ask for does not fit a host.
    """
    counts = apportion(hosts, parameters) if ranks_per_host is None else ranks_per_host
    used = [(host, count) for host, count in zip(hosts, counts, strict=True) if count]
    bind = parameters.bind and all(count <= host.usable_cores for host, count in used)
    plans = [_plan_host(host, count, parameters, bind=bind, alone=sum(counts) == 1) for host, count in used]
    ranks = [rank for found in plans for rank in found.ranks]
    return BindingPlan(
        ranks=tuple(replace(rank, rank=number) for number, rank in enumerate(ranks)),
        oversubscribed=any(found.oversubscribed for found in plans),
        leftovers={host: cpus for found in plans for host, cpus in found.leftovers.items()},
        warnings=tuple(warning for found in plans for warning in found.warnings),
        notes=tuple(note for found in plans for note in found.notes),
    )


def apportion(hosts: Sequence[Topology], parameters: DistributedParameters) -> list[int]:
    """Ranks per host: one per domain (on one host at least two where cores are free), or a number in cores' ratio."""
    if parameters.num_ranks == "auto":
        if parameters.rank_cpus != "auto":
            return [len(parameters.rank_cpus)] * len(hosts)
        return [auto_ranks(host, parameters, at_least=2 if len(hosts) == 1 else 1) for host in hosts]
    counts = [0] * len(hosts)
    for _ in range(parameters.num_ranks):
        counts[max(range(len(hosts)), key=lambda number: hosts[number].usable_cores / (counts[number] + 1))] += 1
    return counts


def _plan_host(
    host: Topology, ranks: int, parameters: DistributedParameters, *, bind: bool, alone: bool
) -> BindingPlan:
    """The ranks of one host, numbered from 0."""
    if ranks > host.usable_cores:
        threads = 1 if parameters.threads_per_rank == "auto" else parameters.threads_per_rank
        bindings = [RankBinding(rank, (), (), (), threads, False, host.host, rank) for rank in range(ranks)]
        unbound = _unbound(host, bindings, parameters)
        return replace(unbound, oversubscribed=True, warnings=(oversubscription(host, ranks, threads),))
    if parameters.rank_cpus != "auto":
        taken = explicit.shares_of_cpus(host, ranks, parameters.rank_cpus)
    else:
        taken = shares(host, ranks, _cores_per_rank(host, ranks, parameters), parameters.domain)
    bindings = _bindings(host, taken, parameters, alone=alone)
    if not bind:
        return _unbound(host, bindings, parameters)
    used = {cpu for rank in bindings for cpu in rank.cpus}
    left = tuple(cpu for cpu in host.allowed if cpu not in used)
    notes = of_host(host, [*limits(host), *crossing(bindings), *idle(host, ranks, len(taken[0]), parameters)])
    warnings = of_host(host, explicit.complaints(host, bindings, parameters))
    return BindingPlan(tuple(bindings), leftovers={host.host: left}, warnings=warnings, notes=notes)


def _cores_per_rank(host: Topology, ranks: int, parameters: DistributedParameters) -> int:
    if parameters.cores_per_rank == "auto":
        return auto_cores(host, ranks, parameters.domain)
    cores = parameters.cores_per_rank
    if ranks * cores > host.usable_cores:
        quota = "" if host.quota is None or host.quota >= host.allowed_cores else f" (CPU quota {host.quota:g})"
        raise UserError(
            f"distributed.cores_per_rank: {ranks} ranks of {cores} cores need {ranks * cores}, {host.host} has "
            f"{host.usable_cores} to use{quota}; lower cores_per_rank or num_ranks (or set auto)"
        )
    return cores


def _bindings(
    host: Topology, taken: Sequence[Share], parameters: DistributedParameters, *, alone: bool
) -> list[RankBinding]:
    kept = [_communication_cores(share, parameters, alone=alone) for share in taken]
    # Horovod takes a list for all ranks of a host: each of them has a CPU for its thread, or none has.
    auto = [share[-1].cpus[0] if all(kept) else None for share in taken]
    horovod = explicit.horovod_cpus(host, auto, parameters)
    whole = all(core.cpus == core.threads for share in taken for core in share)
    return [
        RankBinding(
            rank=rank,
            cpus=tuple(sorted(cpu for core in share for cpu in core.cpus)),
            cores=tuple(core.index for core in share),
            numa_domains=tuple(sorted({core.numa for core in share})),
            threads=_threads(share[: len(share) - kept[rank]], parameters),
            bound=True,
            host=host.host,
            local_rank=rank,
            horovod_cpu=horovod[rank],
            hardware_threads=_hardware_threads(share),
            whole_cores=whole,
        )
        for rank, share in enumerate(taken)
    ]


def _communication_cores(share: Share, parameters: DistributedParameters, *, alone: bool) -> int:
    """The last cores of a rank, on which Horovod's thread runs and no thread computes; a rank alone needs none."""
    if parameters.communication_cores == "auto":
        return 1 if len(share) >= LARGE_RANK_CORES and not alone else 0
    if parameters.communication_cores >= len(share):
        raise UserError(
            f"distributed.communication_cores: {parameters.communication_cores} of a rank's {len(share)} cores leave "
            "none to compute on; lower it or raise cores_per_rank"
        )
    return parameters.communication_cores


def _threads(computing: Share, parameters: DistributedParameters) -> int:
    if parameters.threads_per_rank != "auto":
        return parameters.threads_per_rank
    return sum(len(core.cpus) if parameters.hardware_threads else 1 for core in computing)


def _hardware_threads(share: Share) -> tuple[int, ...]:
    return tuple(core.first_thread + core.threads.index(cpu) for core in share for cpu in core.cpus)


def _unbound(host: Topology, bindings: Sequence[RankBinding], parameters: DistributedParameters) -> BindingPlan:
    """The same ranks and threads, which may run anywhere; Horovod's thread too, unless its CPU was given."""
    everywhere = RankBinding(0, host.allowed, (), tuple(sorted(host.domains())), 1, False, host.host)
    given = isinstance(parameters.horovod_cpus, tuple)
    ranks = [
        replace(
            everywhere,
            rank=rank.rank,
            local_rank=rank.local_rank,
            threads=rank.threads,
            horovod_cpu=rank.horovod_cpu if given else None,
        )
        for rank in bindings
    ]
    return BindingPlan(tuple(ranks), notes=of_host(host, limits(host)))
