"""Saved hosts: sysfs and control-group trees in the kernel's own formats, from a description of their cores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

NODE_KIB = 128 * 2**20


@dataclass(frozen=True)
class CoreRow:
    """One core of a tree: the CPU ids of its threads, its package and its NUMA node."""

    cpus: tuple[int, ...]
    package: int
    node: int


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def write_tree(root: Path, cores: Sequence[CoreRow], memory_only_nodes: Iterable[int] = ()) -> Path:
    folder = root / "sys/devices/system"
    every = [cpu for core in cores for cpu in core.cpus]
    for name in ("online", "possible", "present"):
        put(folder / "cpu" / name, as_list(every))
    for core in cores:
        neighbours = [other for other in cores if other.package == core.package]
        package = [cpu for other in neighbours for cpu in other.cpus]
        for cpu in core.cpus:
            topology = folder / f"cpu/cpu{cpu}/topology"
            put(topology / "physical_package_id", str(core.package))
            put(topology / "core_id", str(neighbours.index(core)))
            put_set(topology / "thread_siblings", core.cpus)
            put_set(topology / "core_siblings", package)
            cache = folder / f"cpu/cpu{cpu}/cache/index3"
            put(cache / "level", "3")
            put(cache / "type", "Unified")
            put(cache / "size", "39424K")
            put(cache / "shared_cpu_map", as_mask(package))
            put(cache / "shared_cpu_list", as_list(package))
    nodes = sorted({*(core.node for core in cores), *memory_only_nodes})
    put(folder / "node/online", as_list(nodes))
    for node in nodes:
        cpus = [cpu for core in cores if core.node == node for cpu in core.cpus]
        put(folder / f"node/node{node}/cpulist", as_list(cpus))
        put(folder / f"node/node{node}/cpumap", as_mask(cpus))
        put(folder / f"node/node{node}/meminfo", f"Node {node} MemTotal:       {NODE_KIB} kB")
        put(folder / f"node/node{node}/distance", " ".join("10" if other == node else "21" for other in nodes))
    put(root / "proc/cpuinfo", "processor\t: 0\nmodel name\t: A Xeon\nflags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16")
    return root


def write_cpuset(root: Path, cpus: Sequence[int], nodes: Sequence[int]) -> None:
    """A control group (v2) with a cpuset, as of a container or a batch job."""
    put(root / "proc/self/cgroup", "0::/box")
    put(root / "proc/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0")
    put(root / "proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0")
    put(root / "sys/fs/cgroup/cgroup.controllers", "cpuset cpu")
    put(root / "sys/fs/cgroup/box/cpuset.cpus.effective", as_list(cpus))
    put(root / "sys/fs/cgroup/box/cpuset.mems.effective", as_list(nodes))


def put_set(path: Path, cpus: Sequence[int]) -> None:
    put(path, as_mask(cpus))
    put(path.with_name(f"{path.name}_list"), as_list(cpus))


def as_list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, sorted(numbers)))


def as_mask(cpus: Iterable[int]) -> str:
    """The kernel's masks: words of 32 bits, the highest first."""
    bits = f"{sum(1 << cpu for cpu in cpus):x}"
    bits = bits.zfill(-(-len(bits) // 8) * 8)
    return ",".join(bits[start : start + 8] for start in range(0, len(bits), 8))


def two_sockets(cores: int = 28) -> list[CoreRow]:
    """2 sockets x cores x 2 threads, numbered as Linux does: all first threads, then their siblings."""
    total = 2 * cores
    return [CoreRow((core, core + total), core // cores, core // cores) for core in range(total)]
