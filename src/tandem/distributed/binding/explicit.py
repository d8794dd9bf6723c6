"""What a user places himself: the CPUs of each rank, and those of Horovod's threads."""

from collections.abc import Sequence
from dataclasses import replace

from tandem.distributed.binding.table import RankBinding
from tandem.distributed.topology import Core, Topology, format_cpu_list, parse_cpu_list
from tandem.errors import UserError
from tandem.parameters import DistributedParameters


def shares_of_cpus(host: Topology, ranks: int, lists: Sequence[str]) -> list[tuple[Core, ...]]:
    """The cores of each CPU list, with the listed ones of their hardware threads.

    Raises:
        UserError: not one list per rank, a CPU that the host does not have or may not use, or one in two lists.
    """
    if len(lists) != ranks:
        raise UserError(
            f"distributed.rank_cpus: {len(lists)} CPU lists for the {ranks} ranks of {host.host}; give one per rank of "
            "a host, or set num_ranks: auto"
        )
    taken = [set(parse_cpu_list(cpus)) for cpus in lists]
    for rank, cpus in enumerate(taken):
        _check_allowed(host, "rank_cpus", cpus)
        twice = cpus & {cpu for other in taken[:rank] for cpu in other}
        if twice:
            raise UserError(
                f"distributed.rank_cpus: CPUs {format_cpu_list(twice)} are given to two ranks; give each once"
            )
    return [_cores_of(host, cpus) for cpus in taken]


def _cores_of(host: Topology, cpus: set[int]) -> tuple[Core, ...]:
    cut = (replace(core, cpus=tuple(cpu for cpu in core.cpus if cpu in cpus)) for core in host.cores)
    return tuple(core for core in cut if core.cpus)


def horovod_cpus(host: Topology, auto: Sequence[int | None], parameters: DistributedParameters) -> Sequence[int | None]:
    """The CPU of Horovod's thread for each rank of the host; ``auto`` unless the parameters say otherwise.

    Raises:
        UserError: not one CPU per rank, or one that may not be used.
    """
    given = parameters.horovod_cpus
    if given == "auto":
        return auto
    if given == "none":
        return [None] * len(auto)
    if len(given) != len(auto):
        raise UserError(
            f"distributed.horovod_cpus: {len(given)} CPUs for the {len(auto)} ranks of {host.host}; give one per rank "
            "of a host, or set auto"
        )
    _check_allowed(host, "horovod_cpus", set(given))
    return list(given)


def complaints(host: Topology, bindings: Sequence[RankBinding], parameters: DistributedParameters) -> list[str]:
    """What is odd about given CPUs: a rank across domains that would fit into one, and cores above the quota.

    Raises:
        UserError: such a rank, with ``strict``.
    """
    if parameters.rank_cpus == "auto":
        return []
    found = []
    domains = host.domains(parameters.domain)
    for rank in bindings:
        touched = [domain for domain, cores in domains.items() if {core.index for core in cores} & set(rank.cores)]
        if len(touched) > 1 and len(rank.cores) <= max(map(len, domains.values())):
            found.append(
                f"distributed.rank_cpus: rank {rank.rank} runs across domains {format_cpu_list(touched)}, though one "
                "would hold it"
            )
    if found and parameters.strict:
        raise UserError(f"{found[0]}; give it CPUs of one, or set distributed.domain to what it may cross")
    cores = sum(len(rank.cores) for rank in bindings)
    if cores > host.usable_cores:
        found.append(f"distributed.rank_cpus: {cores} cores for a CPU quota of {host.quota:g}: ranks will be throttled")
    return found


def _check_allowed(host: Topology, name: str, cpus: set[int]) -> None:
    outside = cpus - set(host.allowed)
    if outside:
        raise UserError(
            f"distributed.{name}: CPUs {format_cpu_list(outside)} may not be used on {host.host}, which has "
            f"{format_cpu_list(host.allowed)} (see tandem topology)"
        )
