"""Reads a host from sysfs, procfs, the control groups and the scheduler's affinity mask.

Every file may be missing; what is not known is taken as one package, one domain and one core per CPU. The root is a
parameter, so that a tree saved from another host can be read.
"""

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tandem.distributed.topology import control_groups
from tandem.distributed.topology.files import read, read_int, read_list
from tandem.distributed.topology.machine import Cpu, Topology

_CPU_FOLDER = Path("sys/devices/system/cpu")
_NODE_FOLDER = Path("sys/devices/system/node")
# What of a CPU's flags matters for training, by the kernel's names.
_ISA = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX-512 BF16",
    "avx512_fp16": "AVX-512 FP16",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
}


def detect(root: Path = Path("/"), affinity: Iterable[int] | None = None, host: str | None = None) -> Topology:
    """Read the host below ``root``; ``affinity`` is this process's mask unless given (saved trees)."""
    mask = sorted(os.sched_getaffinity(0) if affinity is None else affinity)
    online = sorted({*_online_cpus(root), *mask})
    cpuset = control_groups.cpuset(root)
    if cpuset is not None and not set(mask) <= set(cpuset):
        cpuset = None  # somebody else's view: the mask is what the kernel enforces
    domains = _numa_of_cpus(root)
    cpus = tuple(_read_cpu(root, cpu, domains) for cpu in online)
    cpuinfo = read(root / "proc/cpuinfo") or ""
    return Topology(
        cpus,
        tuple(mask),
        control_groups.quota(root),
        None if cpuset is None or set(online) <= set(cpuset) else cpuset,
        _shared(root, cpus),
        _memory(root, cpus),
        _isa(cpuinfo),
        _field(cpuinfo, "model name"),
        host or os.uname().nodename,
    )


def _read_cpu(root: Path, cpu: int, domains: dict[int, int]) -> Cpu:
    folder = root / _CPU_FOLDER / f"cpu{cpu}" / "topology"
    siblings = read_list(folder / "core_cpus_list") or read_list(folder / "thread_siblings_list") or (cpu,)
    package = read_int(folder / "physical_package_id")
    return Cpu(cpu, max(0, package or 0), min((*siblings, cpu)), domains.get(cpu, 0))


def _online_cpus(root: Path) -> Sequence[int]:
    listed = read_list(root / _CPU_FOLDER / "online")
    if listed:
        return listed
    names = (path.name for path in (root / _CPU_FOLDER).glob("cpu[0-9]*"))
    return [int(name[3:]) for name in names if name[3:].isdigit()]


def _numa_of_cpus(root: Path) -> dict[int, int]:
    return {cpu: node for node, folder in _nodes(root) for cpu in read_list(folder / "cpulist") or ()}


def _nodes(root: Path) -> list[tuple[int, Path]]:
    folders = (root / _NODE_FOLDER).glob("node[0-9]*")
    return sorted((int(folder.name[4:]), folder) for folder in folders if folder.name[4:].isdigit())


def _memory(root: Path, cpus: Sequence[Cpu]) -> dict[int, int]:
    found = {node: _total(read(folder / "meminfo")) for node, folder in _nodes(root)}
    if not found:  # a kernel without NUMA
        found = {domain: _total(read(root / "proc/meminfo")) for domain in {cpu.numa for cpu in cpus}}
    return found


def _total(meminfo: str | None) -> int:
    match = re.search(r"MemTotal:\s*(\d+) kB", meminfo or "")
    return int(match[1]) * 1024 if match else 0


def _shared(root: Path, cpus: Sequence[Cpu]) -> tuple[frozenset[int], ...]:
    """Dies and caches with several CPUs; all siblings of a core have them in common, so one of each is asked."""
    found: set[frozenset[int]] = set()
    for cpu in {cpu.core: cpu.id for cpu in reversed(cpus)}.values():
        folder = root / _CPU_FOLDER / f"cpu{cpu}"
        files = [folder / "topology/die_cpus_list", *folder.glob("cache/index[0-9]*/shared_cpu_list")]
        found |= {frozenset(members) for members in map(read_list, files) if members and cpu in members}
    return tuple(sorted((group for group in found if len(group) > 1), key=lambda group: (-len(group), min(group))))


def _isa(cpuinfo: str) -> tuple[str, ...]:
    flags = set(_field(cpuinfo, "flags").split())
    return tuple(name for flag, name in _ISA.items() if flag in flags)


def _field(cpuinfo: str, name: str) -> str:
    match = re.search(rf"^{name}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""
