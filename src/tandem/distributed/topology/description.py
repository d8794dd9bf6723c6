"""What was found of a host, as text for people."""

from tandem.distributed.topology.cpu_lists import format_cpu_list
from tandem.distributed.topology.machine import Topology


def describe(host: Topology) -> str:
    """The host in lines ``name: what``, and one line per NUMA domain."""
    cores = len(host.cores)
    packages = {cpu.package for cpu in host.cpus}
    lines = [
        f"host          {host.host}{f' ({host.model})' if host.model else ''}",
        f"sockets       {len(packages)}",
        f"NUMA domains  {_domains(host, len(packages))}",
        f"cores         {cores}, {_threads(host)}",
        f"instructions  {', '.join(host.isa) or 'unknown'}",
        f"cpuset        {'all CPUs' if host.cpuset is None else format_cpu_list(host.cpuset)}",
        f"may use       CPUs {format_cpu_list(host.allowed)}: {host.allowed_cores} cores",
        f"CPU quota     {'none' if host.quota is None else f'{host.quota:g} CPUs: {host.usable_cores} cores'}",
    ]
    return "\n".join([*lines, *(f"domain {domain}" for domain in _rows(host))])


def _domains(host: Topology, packages: int) -> str:
    with_cpus = {(cpu.package, cpu.numa) for cpu in host.cpus}
    domains = {numa for _, numa in with_cpus}
    memory_only = len(set(host.memory) - domains)
    per_package = len(with_cpus) // packages
    text = str(len(domains))
    if per_package > 1:
        text += f", {per_package} sub-NUMA domains per socket"
    return f"{text}, and {memory_only} of memory alone" if memory_only else text


def _threads(host: Topology) -> str:
    counts = sorted({len(core.threads) for core in host.cores})
    return "1 thread each (no SMT)" if counts == [1] else f"{' or '.join(map(str, counts))} threads each (SMT)"


def _rows(host: Topology) -> list[str]:
    cpus: dict[int, list[int]] = {domain: [] for domain in host.memory}
    for cpu in host.cpus:
        cpus.setdefault(cpu.numa, []).append(cpu.id)
    usable = host.domains()
    return [
        f"{domain}: {f'CPUs {format_cpu_list(members)}' if members else 'memory alone'}, "
        f"{len(usable.get(domain, ()))} cores to use, {_bytes(host.memory.get(domain, 0))}"
        for domain, members in sorted(cpus.items())
    ]


def _bytes(number: int) -> str:
    return f"{number / 2**30:.1f} GiB" if number else "memory unknown"
