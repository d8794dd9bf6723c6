"""Hand-written sysfs and control-group trees, in the kernel's own formats."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


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
    cpu_folder = root / "sys/devices/system/cpu"
    every = sorted(cpu for core in cores for cpu in core.cpus)
    put(cpu_folder / "online", ",".join(map(str, every)))
    for index, core in enumerate(cores):
        for cpu in core.cpus:
            topology = cpu_folder / f"cpu{cpu}" / "topology"
            put(topology / "physical_package_id", str(core.package))
            put(topology / "core_id", str(index % 28))
            put(topology / "thread_siblings_list", ",".join(map(str, core.cpus)))
    for node in sorted({core.node for core in cores}):
        cpus = sorted(cpu for core in cores if core.node == node for cpu in core.cpus)
        put(root / f"sys/devices/system/node/node{node}/cpulist", ",".join(map(str, cpus)))
    for node in memory_only_nodes:
        put(root / f"sys/devices/system/node/node{node}/cpulist", "")
    return root


def two_sockets(cores: int = 28) -> list[CoreRow]:
    """2 sockets x cores x 2 threads, numbered as Linux does: all first threads, then their siblings."""
    total = 2 * cores
    return [CoreRow((core, core + total), core // cores, core // cores) for core in range(total)]
