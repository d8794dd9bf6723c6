"""The cores, threads and memory domains of one host, whatever they were read from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

DomainLevel = Literal["numa", "package", "host"]


@dataclass(frozen=True)
class Cpu:
    """One logical CPU (hardware thread) by the operating system's numbers.

    ``core`` is the lowest CPU id among its SMT siblings: core ids of sysfs repeat across packages and dies.
    """

    id: int
    package: int
    core: int
    numa: int


@dataclass(frozen=True)
class Core:
    """One physical core, numbered as hwloc and Open MPI's rankfiles do.

    ``index`` is its logical number; ``threads`` are its hardware threads inside the cpuset, of which ``first_thread``
    is the logical number of the first. ``cpus`` are those that this process may run on: empty when none.
    """

    index: int
    package: int
    numa: int
    threads: tuple[int, ...]
    first_thread: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """The online CPUs of a host and the limits on them.

    Attributes:
        allowed: the CPUs of the affinity mask.
        quota: the control group's CPU quota in CPUs; None: none.
        cpuset: the CPUs of the control group's cpuset, outside of which hwloc, and so mpirun, sees nothing; None: all.
        shared: CPUs that have a cache or a die in common. Only the logical numbers of cores depend on them.
        memory: bytes of each NUMA domain, those without CPUs included; 0: unknown.
        isa: what of AVX2, AVX-512, BF16 and AMX the CPUs can; empty where it cannot be known.
    """

    cpus: tuple[Cpu, ...]
    allowed: tuple[int, ...]
    quota: float | None = None
    cpuset: tuple[int, ...] | None = None
    shared: tuple[frozenset[int], ...] = ()
    memory: Mapping[int, int] = field(default_factory=dict)
    isa: tuple[str, ...] = ()
    model: str = ""
    host: str = "localhost"

    @cached_property
    def cores(self) -> tuple[Core, ...]:
        """The cores inside the cpuset in hwloc's logical order: a tree of what they share, by lowest CPU ids."""
        visible = {cpu.id for cpu in self.cpus} if self.cpuset is None else set(self.cpuset)
        allowed = set(self.allowed)
        groups = sorted({*self._groups("package"), *self._groups("numa"), *self.shared}, key=len, reverse=True)
        by_core: dict[tuple[int, ...], list[Cpu]] = {}
        for cpu in sorted(self.cpus, key=lambda cpu: cpu.id):
            place = (*(min(group) for group in groups if cpu.id in group), cpu.core)
            by_core.setdefault(place, []).append(cpu)
        cores: list[Core] = []
        counted = 0
        for _, cpus in sorted(by_core.items()):
            threads = tuple(cpu.id for cpu in cpus if cpu.id in visible)
            if threads:
                usable = tuple(thread for thread in threads if thread in allowed)
                cores.append(Core(len(cores), cpus[0].package, cpus[0].numa, threads, counted, usable))
                counted += len(threads)
        return tuple(cores)

    def domains(self, level: DomainLevel = "numa") -> dict[int, tuple[Core, ...]]:
        """Usable cores by NUMA domain (or package, or all as 0) in logical order; those without any are left out."""
        found: dict[int, list[Core]] = {}
        for core in self.cores:
            if core.cpus:
                found.setdefault({"numa": core.numa, "package": core.package, "host": 0}[level], []).append(core)
        return {domain: tuple(cores) for domain, cores in found.items()}

    @property
    def allowed_cores(self) -> int:
        """Cores of which this process may use a thread at least."""
        return sum(1 for core in self.cores if core.cpus)

    @property
    def usable_cores(self) -> int:
        """Cores that this process can keep busy: those allowed, capped by the quota, at least one."""
        return max(1, self.allowed_cores if self.quota is None else min(self.allowed_cores, math.floor(self.quota)))

    def _groups(self, kind: Literal["package", "numa"]) -> set[frozenset[int]]:
        members: dict[int, set[int]] = {}
        for cpu in self.cpus:
            members.setdefault(cpu.package if kind == "package" else cpu.numa, set()).add(cpu.id)
        return {frozenset(cpus) for cpus in members.values()}
