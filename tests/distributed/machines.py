"""Shapes of real hosts, with the plan of each for 1, 2, 4, 8 and all ranks, written by hand.

``tests/data/topologies/NAME.xml.gz`` is what hwloc's own lstopo makes of the same trees; to write them again:
``python tests/distributed/machines.py`` (needs Debian's hwloc).
"""

import gzip
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sysfs_trees import CoreRow, put, two_sockets, write_cpuset, write_tree

SAVED = Path(__file__).resolve().parents[1] / "data" / "topologies"


@dataclass(frozen=True)
class Plan:
    """CPUs of each rank, threads of every rank, CPU of Horovod's thread of each (none: None); no CPUs: unbound.

    ``told``: whether Open MPI can be told the plan, within the 63 characters that it keeps of a rank's list.
    """

    cpus: Sequence[str]
    threads: int
    horovod: Sequence[int] | None = None
    told: bool = True


@dataclass(frozen=True)
class Machine:
    """A host; ``mask`` is this process's affinity mask."""

    cores: Sequence[CoreRow]
    mask: Sequence[int]
    plans: Mapping[int, Plan]
    memory_only_nodes: Sequence[int] = ()
    cpuset: bool = False
    quota: str | None = None
    xml: str | None = None

    def write(self, root: Path) -> Path:
        write_tree(root, self.cores, self.memory_only_nodes)
        if self.cpuset:
            write_cpuset(root, self.mask, sorted({core.node for core in self.cores}))
        if self.quota is not None:
            put(root / "sys/fs/cgroup/cpu.max", self.quota)
        return root


def span(first: int, last: int, siblings: int) -> str:
    """Cores ``first`` to ``last`` with their second threads, which are numbered ``siblings`` higher."""
    return f"{first}-{last},{first + siblings}-{last + siblings}"


def each(cores: Sequence[int], siblings: int) -> list[str]:
    """One core per rank, with its second thread."""
    return [f"{core},{core + siblings}" for core in cores]


XEON_2X28 = {
    1: Plan(["0-27,56-83"], threads=28),
    2: Plan(["0-27,56-83", "28-55,84-111"], threads=27, horovod=[27, 55]),
    4: Plan(["0-13,56-69", "14-27,70-83", "28-41,84-97", "42-55,98-111"], threads=13, horovod=[13, 27, 41, 55]),
    8: Plan([span(first, first + 6, 56) for first in (0, 7, 14, 21, 28, 35, 42, 49)], threads=7),
    56: Plan(each(range(56), 56), threads=1),
}

MACHINES = {
    "xeon_2x28": Machine(two_sockets(28), range(112), XEON_2X28),
    # Sub-NUMA clustering: four domains of 14 cores in each socket.
    "xeon_2x56_snc4": Machine(
        [CoreRow((core, core + 112), core // 56, core // 14) for core in range(112)],
        range(224),
        {
            1: Plan(["0-13,112-125"], threads=14),
            2: Plan(["0-13,112-125", "56-69,168-181"], threads=13, horovod=[13, 69]),
            4: Plan(
                ["0-13,112-125", "14-27,126-139", "56-69,168-181", "70-83,182-195"],
                threads=13,
                horovod=[13, 27, 69, 83],
            ),
            8: Plan(
                [span(first, first + 13, 112) for first in (0, 14, 28, 42, 56, 70, 84, 98)],
                threads=13,
                horovod=[13, 27, 41, 55, 69, 83, 97, 111],
            ),
            112: Plan(each(range(112), 112), threads=1),
        },
    ),
    "one_socket_without_smt": Machine(
        [CoreRow((cpu,), 0, 0) for cpu in range(32)],
        range(32),
        {
            1: Plan(["0-31"], threads=32),
            2: Plan(["0-15", "16-31"], threads=15, horovod=[15, 31]),
            4: Plan(["0-7", "8-15", "16-23", "24-31"], threads=7, horovod=[7, 15, 23, 31]),
            8: Plan(["0-3", "4-7", "8-11", "12-15", "16-19", "20-23", "24-27", "28-31"], threads=4),
            32: Plan([str(cpu) for cpu in range(32)], threads=1),
        },
    ),
    # Packages are counted as hwloc does, by their lowest CPU: 7, then 2, then 40.
    "vm_with_scattered_ids": Machine(
        [CoreRow((cpu,), package, 0) for cpu, package in ((3, 7), (9, 2), (17, 40), (21, 2), (30, 7), (44, 40))],
        [3, 9, 17, 21, 30, 44],
        {
            1: Plan(["3,9,17,21,30,44"], threads=6),
            2: Plan(["3,9,30", "17,21,44"], threads=3),
            4: Plan(["3", "30", "9", "21"], threads=1),
            8: Plan([], threads=1),
            6: Plan(["3", "30", "9", "21", "17", "44"], threads=1),
        },
    ),
    "cpuset_cuts_a_socket": Machine(
        two_sockets(28),
        [*range(42), *range(56, 98)],
        {
            1: Plan(["0-27,56-83"], threads=28),
            2: Plan(["0-13,56-69", "28-41,84-97"], threads=13, horovod=[13, 41]),
            4: Plan(["0-8,56-64", "9-17,65-73", "18-26,74-82", "28-36,84-92"], threads=8, horovod=[8, 17, 26, 36]),
            8: Plan([span(first, first + 3, 56) for first in (0, 4, 8, 12, 16, 28, 32, 36)], threads=4),
            42: Plan(each(range(42), 56), threads=1),
        },
        cpuset=True,
    ),
    # hwloc knows no quota, so it is the first machine to it.
    "quota_below_the_cpuset": Machine(
        two_sockets(28),
        range(112),
        {
            1: Plan(["0-5,56-61"], threads=6),
            2: Plan(["0-2,56-58", "28-30,84-86"], threads=3),
            4: Plan(["0,56", "1,57", "28,84", "29,85"], threads=1),
            8: Plan([], threads=1),
            6: Plan(["0,56", "1,57", "2,58", "28,84", "29,85", "30,86"], threads=1),
        },
        quota="650000 100000",
        xml="xeon_2x28",
    ),
    "memory_only_nodes": Machine(two_sockets(28), range(112), XEON_2X28, memory_only_nodes=[2, 3]),
    # An affinity mask, unlike a cpuset, hides nothing from hwloc; this one leaves out second threads too.
    "mask_of_first_threads": Machine(
        two_sockets(28),
        range(42),
        {
            1: Plan(["0-27"], threads=28, told=False),
            2: Plan(["0-13", "28-41"], threads=13, horovod=[13, 41]),
            4: Plan(["0-8", "9-17", "18-26", "28-36"], threads=8, horovod=[8, 17, 26, 36]),
            8: Plan(["0-3", "4-7", "8-11", "12-15", "16-19", "28-31", "32-35", "36-39"], threads=4),
            42: Plan([str(cpu) for cpu in range(42)], threads=1),
        },
        xml="xeon_2x28",
    ),
    # Clouds number the two threads of a core one after the other.
    "vm_with_adjacent_threads": Machine(
        [CoreRow((2 * core, 2 * core + 1), core // 8, core // 8) for core in range(16)],
        range(32),
        {
            1: Plan(["0-15"], threads=8),
            2: Plan(["0-15", "16-31"], threads=7, horovod=[14, 30]),
            4: Plan(["0-7", "8-15", "16-23", "24-31"], threads=4),
            8: Plan(["0-3", "4-7", "8-11", "12-15", "16-19", "20-23", "24-27", "28-31"], threads=2),
            16: Plan([f"{cpu}-{cpu + 1}" for cpu in range(0, 32, 2)], threads=1),
        },
    ),
    # Some firmware numbers sockets in turn.
    "even_and_odd_sockets": Machine(
        [CoreRow((cpu, cpu + 8), cpu % 2, cpu % 2) for cpu in range(8)],
        range(16),
        {
            1: Plan(["0,2,4,6,8,10,12,14"], threads=4),
            2: Plan(["0,2,4,6,8,10,12,14", "1,3,5,7,9,11,13,15"], threads=4),
            4: Plan(["0,2,8,10", "4,6,12,14", "1,3,9,11", "5,7,13,15"], threads=2),
            8: Plan(each([0, 2, 4, 6, 1, 3, 5, 7], 8), threads=1),
        },
    ),
}


def saved_xml(name: str, folder: Path) -> Path:
    """The XML that lstopo wrote of the machine, unpacked into ``folder``."""
    path = folder / f"{name}.xml"
    path.write_bytes(gzip.decompress((SAVED / f"{MACHINES[name].xml or name}.xml.gz").read_bytes()))
    return path


def main() -> None:
    SAVED.mkdir(parents=True, exist_ok=True)
    for name, machine in MACHINES.items():
        if machine.xml is None:
            with tempfile.TemporaryDirectory() as folder:
                machine.write(Path(folder))
                command = ["lstopo-no-graphics", "--if", "fsroot", "-i", folder, "--of", "xml"]
                written = subprocess.run(command, check=True, capture_output=True).stdout
            (SAVED / f"{name}.xml.gz").write_bytes(gzip.compress(written, mtime=0))


if __name__ == "__main__":
    main()
