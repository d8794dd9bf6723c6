"""What a user is warned of or told about a plan: limits that shaped it, unused cores, ranks across domains."""

from collections.abc import Sequence

from tandem.distributed.binding.shares import auto_cores
from tandem.distributed.binding.table import RankBinding
from tandem.distributed.topology import Topology, format_cpu_list
from tandem.parameters import DistributedParameters

WORTH_SAYING = 0.1  # of a host's cores: another number of ranks that uses so many more


def limits(host: Topology) -> list[str]:
    """The cpuset or mask and the quota, where they leave less than the host has."""
    found = []
    if len(host.allowed) < len(host.cpus):
        found.append(
            f"{len(host.allowed)} of {len(host.cpus)} CPUs may be used ({format_cpu_list(host.allowed)}): "
            "a cpuset or an affinity mask"
        )
    if host.quota is not None and host.usable_cores < host.allowed_cores:
        found.append(f"the CPU quota of {host.quota:g} allows {host.usable_cores} of {host.allowed_cores} cores")
    return found


def crossing(bindings: Sequence[RankBinding]) -> list[str]:
    """Ranks whose memory is in several domains."""
    across = [rank.rank for rank in bindings if len(rank.numa_domains) > 1]
    return [f"ranks {format_cpu_list(across)} run across NUMA domains"] if across else []


def idle(host: Topology, ranks: int, cores: int, parameters: DistributedParameters) -> list[str]:
    """Usable cores that no rank has, and the number of ranks that would use more of them."""
    left = host.usable_cores - ranks * cores
    if left <= 0 or parameters.rank_cpus != "auto":
        return []
    text = f"{left} of {host.usable_cores} cores are left over"
    if parameters.cores_per_rank != "auto":
        return [text]
    used = {number: number * auto_cores(host, number, parameters.domain) for number in range(1, host.usable_cores + 1)}
    best = min(used, key=lambda number: (-used[number], number))
    if used[best] - ranks * cores < WORTH_SAYING * host.usable_cores:
        return [text]
    return [f"{text}; {best} ranks of {used[best] // best} would use {used[best]}"]


def oversubscription(host: Topology, ranks: int, threads: int) -> str:
    """The warning about more ranks than cores."""
    limited = host.quota is not None and host.usable_cores < host.allowed_cores
    quota = f" (CPU quota {host.quota:g})" if limited else ""
    each = "one thread" if threads == 1 else f"{threads} threads"
    return (
        f"{ranks} ranks share {host.usable_cores} cores{quota}: unbound, {each} each; "
        "timings of such a run are no scaling measurement"
    )


def of_host(host: Topology, texts: Sequence[str]) -> tuple[str, ...]:
    """Each with the host's name in front."""
    return tuple(f"{host.host}: {text}" for text in texts)
