"""How many ranks and cores fit a host, and which cores each rank gets."""

from collections.abc import Mapping

from tandem.distributed.topology import Core, DomainLevel, Topology
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

LEVELS: tuple[DomainLevel, ...] = ("numa", "package", "host")

Domains = Mapping[int, tuple[Core, ...]]


def auto_ranks(host: Topology, parameters: DistributedParameters, *, at_least: int) -> int:
    """One rank per domain, not counting domains of less than half the cores of the largest, which would size all ranks.

    Fewer where the quota or an explicit ``cores_per_rank`` allows no more; ``at_least`` so many where cores are free.
    """
    sizes = [len(members) for members in host.domains(parameters.domain).values()]
    counting = sum(1 for size in sizes if 2 * size >= max(sizes))
    wanted = min(max(at_least, counting), host.usable_cores)
    if parameters.cores_per_rank == "auto":
        return wanted
    return max(1, min(wanted, _capacity(host, parameters.cores_per_rank, parameters.domain)))


def auto_cores(host: Topology, ranks: int, level: DomainLevel) -> int:
    """The largest equal share that keeps every rank inside a domain."""
    most = host.usable_cores // ranks
    domains = host.domains(level)
    return next((cores for cores in range(most, 0, -1) if slots(domains, cores) >= ranks), most)


def slots(domains: Domains, cores: int) -> int:
    """How many ranks of so many cores fit without one across two domains."""
    return sum(len(members) // cores for members in domains.values())


def shares(host: Topology, ranks: int, cores: int, told: DomainLevel) -> list[tuple[Core, ...]]:
    """The cores of each rank, inside the smallest kind of domain that holds them all.

    ``told`` is what no rank may cross, unless it needs more cores than one has.

    Raises:
        UserError: they fit only with a rank across two domains, though one domain would hold it.
    """
    for level in LEVELS:
        domains = host.domains(level)
        if slots(domains, cores) >= ranks:
            return _fill(domains, ranks, cores)
        if LEVELS.index(level) >= LEVELS.index(told) and cores <= max(map(len, domains.values())):
            sizes = ", ".join(str(len(members)) for members in domains.values())
            kind = "NUMA domains" if level == "numa" else "packages"
            raise UserError(
                f"distributed.cores_per_rank: {ranks} ranks of {cores} cores do not fit into {kind} of {sizes} cores "
                "without a rank across two; lower cores_per_rank or num_ranks (or set auto), or allow it by "
                f"distributed.domain: {LEVELS[LEVELS.index(level) + 1]}"
            )
    raise AssertionError("the caller checks that the host has ranks * cores cores")


def _fill(domains: Domains, ranks: int, cores: int) -> list[tuple[Core, ...]]:
    """Fill the domains evenly, sockets in turn; neighbouring ranks share a domain."""
    counts = dict.fromkeys(domains, 0)
    sockets = {domain: members[0].package for domain, members in domains.items()}
    busy = dict.fromkeys(sockets.values(), 0)
    for _ in range(ranks):
        free = [domain for domain in domains if len(domains[domain]) // cores > counts[domain]]
        taken = min(free, key=lambda domain: (counts[domain], busy[sockets[domain]]))
        counts[taken] += 1
        busy[sockets[taken]] += 1
    return [
        members[slot * cores : (slot + 1) * cores]
        for domain, members in domains.items()
        for slot in range(counts[domain])
    ]


def _capacity(host: Topology, cores: int, level: DomainLevel) -> int:
    inside = slots(host.domains(level), cores)
    return min(inside, host.usable_cores // cores) if inside else host.usable_cores // cores
