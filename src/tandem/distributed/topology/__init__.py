"""What a host has: sockets, NUMA domains, cores, SMT siblings, and how much of them this process may use."""

from tandem.distributed.topology.cpu_lists import format_cpu_list, parse_cpu_list
from tandem.distributed.topology.machine import Core, Cpu, DomainLevel, Topology
from tandem.distributed.topology.sysfs import detect

__all__ = [
    "Core",
    "Cpu",
    "DomainLevel",
    "Topology",
    "detect",
    "format_cpu_list",
    "parse_cpu_list",
]
