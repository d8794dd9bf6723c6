"""What this host has: cores, SMT siblings, NUMA domains, and how much of them this process may use.

Read from sysfs, the scheduler's affinity mask and the control groups, so that containers, cpusets and CPU quotas are
respected. Every file may be missing (containers hide some, virtual machines invent odd ones); what is not known is
taken as one package, one domain and one core per CPU.
"""

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_CPU_FOLDER = Path("sys/devices/system/cpu")
_NODE_FOLDER = Path("sys/devices/system/node")
_CGROUP_FOLDER = Path("sys/fs/cgroup")


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
    """One physical core. ``index`` is its hwloc logical number, by which Open MPI's rankfiles count.

    ``cpus`` are the hardware threads of it that this process may run on: empty when none.
    """

    index: int
    package: int
    numa: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Topology:
    """The CPUs of this host's cpuset, those that the affinity mask allows, and the CPU quota in CPUs (None: none)."""

    cpus: tuple[Cpu, ...]
    allowed: tuple[int, ...]
    quota: float | None = None

    @property
    def cores(self) -> tuple[Core, ...]:
        """All cores in hwloc's logical order: packages, then domains, then cores, each by its lowest CPU id."""
        by_core: dict[int, list[Cpu]] = {}
        for cpu in sorted(self.cpus, key=lambda cpu: cpu.id):
            by_core.setdefault(cpu.core, []).append(cpu)
        first_of_package = self._first_cpu(lambda cpu: (cpu.package,))
        first_of_domain = self._first_cpu(lambda cpu: (cpu.package, cpu.numa))
        groups = sorted(
            by_core.values(),
            key=lambda cpus: (
                first_of_package[cpus[0].package,],
                first_of_domain[cpus[0].package, cpus[0].numa],
                cpus[0].id,
            ),
        )
        allowed = set(self.allowed)
        return tuple(
            Core(index, cpus[0].package, cpus[0].numa, tuple(cpu.id for cpu in cpus if cpu.id in allowed))
            for index, cpus in enumerate(groups)
        )

    @property
    def domains(self) -> dict[int, tuple[Core, ...]]:
        """Usable cores by NUMA domain, in logical order; domains without any (memory only, outside) are left out."""
        found: dict[int, list[Core]] = {}
        for core in self.cores:
            if core.cpus:
                found.setdefault(core.numa, []).append(core)
        return {domain: tuple(cores) for domain, cores in found.items()}

    @property
    def usable_cores(self) -> int:
        """Cores that this process can keep busy: those allowed, capped by the quota, at least one."""
        allowed = sum(1 for core in self.cores if core.cpus)
        return max(1, allowed if self.quota is None else min(allowed, math.floor(self.quota)))

    def _first_cpu(self, group: Callable[[Cpu], tuple[int, ...]]) -> dict[tuple[int, ...], int]:
        first: dict[tuple[int, ...], int] = {}
        for cpu in self.cpus:
            first[group(cpu)] = min(cpu.id, first.get(group(cpu), cpu.id))
        return first


def detect(root: Path = Path("/"), affinity: Iterable[int] | None = None) -> Topology:
    """Read the topology below ``root``; ``affinity`` is this process's mask unless given (saved trees)."""
    mask = sorted(os.sched_getaffinity(0) if affinity is None else affinity)
    online = _online_cpus(root) or mask
    cpuset = _cpuset(root)
    visible = [cpu for cpu in online if cpuset is None or cpu in cpuset]
    if not set(mask) <= set(visible):  # read from somebody else's view: the mask is what the kernel enforces
        visible = sorted({*online, *mask})
    domains = _numa_of_cpus(root)
    cpus = tuple(_read_cpu(root, cpu, domains) for cpu in visible)
    return Topology(cpus, tuple(mask), _quota(root))


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """``"0-2,8"`` -> ``(0, 1, 2, 8)``; the kernel's list format. Raises ValueError on anything else."""
    cpus: set[int] = set()
    for part in filter(None, (part.strip() for part in text.strip().split(","))):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Iterable[int]) -> str:
    """``(0, 1, 2, 8)`` -> ``"0-2,8"``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _read_cpu(root: Path, cpu: int, domains: dict[int, int]) -> Cpu:
    folder = root / _CPU_FOLDER / f"cpu{cpu}" / "topology"
    siblings = _read_list(folder / "core_cpus_list") or _read_list(folder / "thread_siblings_list") or (cpu,)
    package = _read_int(folder / "physical_package_id")
    return Cpu(cpu, max(0, package or 0), min((*siblings, cpu)), domains.get(cpu, 0))


def _online_cpus(root: Path) -> tuple[int, ...]:
    listed = _read_list(root / _CPU_FOLDER / "online")
    if listed:
        return listed
    names = (path.name for path in (root / _CPU_FOLDER).glob("cpu[0-9]*"))
    return tuple(sorted(int(name[3:]) for name in names if name[3:].isdigit()))


def _numa_of_cpus(root: Path) -> dict[int, int]:
    found: dict[int, int] = {}
    for folder in (root / _NODE_FOLDER).glob("node[0-9]*"):
        for cpu in _read_list(folder / "cpulist") or ():
            found[cpu] = int(folder.name[4:])
    return found


def _quota(root: Path) -> float | None:
    """The tightest CPU quota on the way from this process's control group to the root, in CPUs (v1 and v2)."""
    quotas = [_quota_v2(folder) for folder in _cgroup_folders(root, "")]
    quotas += [_quota_v1(folder) for folder in _cgroup_folders(root, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_v2(folder: Path) -> float | None:
    match = re.match(r"(\d+) (\d+)", _read(folder / "cpu.max") or "")
    return int(match[1]) / int(match[2]) if match and int(match[2]) else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = _read_int(folder / "cpu.cfs_quota_us"), _read_int(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _cpuset(root: Path) -> tuple[int, ...] | None:
    """The cpuset of this process's control group: Open MPI counts cores inside it, whatever the affinity mask is."""
    for controller, name in (("", "cpuset.cpus.effective"), ("cpuset", "cpuset.effective_cpus")):
        for folder in _cgroup_folders(root, controller):
            cpus = _read_list(folder / name)
            if cpus:
                return cpus
    return None


def _cgroup_folders(root: Path, controller: str) -> list[Path]:
    """This process's folder of a v1 controller (v2: ``""``) and its parents, the nearest first."""
    for line in (_read(root / "proc/self/cgroup") or "0::/").splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller not in names.split(","):
            continue
        mounts = [root / _CGROUP_FOLDER / name for name in ((names, controller) if names else ("unified",))]
        mount = next((mount for mount in mounts if mount.is_dir()), root / _CGROUP_FOLDER)
        parts = Path(path.strip().lstrip("/")).parts
        return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return []


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _read_int(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def _read_list(path: Path) -> tuple[int, ...] | None:
    try:
        return parse_cpu_list(_read(path) or "")
    except ValueError:
        return None
