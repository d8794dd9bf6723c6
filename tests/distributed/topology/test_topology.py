"""What the kernel says about a host, from trees written by hand."""

from pathlib import Path

import pytest
from sysfs_trees import NODE_KIB, CoreRow, put, two_sockets, write_tree

from tandem.distributed.topology import Cpu, detect, format_cpu_list, parse_cpu_list
from tandem.distributed.topology.cpu_lists import format_mask, parse_hwloc_mask
from tandem.distributed.topology.description import describe
from tandem.distributed.topology.hwloc_xml import read_hwloc_xml
from tandem.errors import UserError


def test_this_host_has_the_cpus_of_its_affinity_mask() -> None:
    import os

    found = detect()
    assert set(found.allowed) == os.sched_getaffinity(0)
    assert found.usable_cores >= 1


def test_two_sockets_with_smt(tmp_path: Path) -> None:
    found = detect(write_tree(tmp_path, two_sockets()), range(112))
    assert [core.cpus for core in found.cores[:2]] == [(0, 56), (1, 57)]
    assert {domain: len(cores) for domain, cores in found.domains().items()} == {0: 28, 1: 28}
    assert found.cpus[60] == Cpu(60, 0, 4, 0)
    assert found.usable_cores == 56


def test_logical_order_is_by_package_whatever_the_numbering(tmp_path: Path) -> None:
    # Even CPUs on package 0 and odd ones on package 1, as some firmware numbers them.
    cores = [CoreRow((cpu,), cpu % 2, cpu % 2) for cpu in range(8)]
    found = detect(write_tree(tmp_path, cores), range(8))
    assert [core.cpus[0] for core in found.cores] == [0, 2, 4, 6, 1, 3, 5, 7]
    assert [core.index for core in found.domains()[1]] == [4, 5, 6, 7]


def test_scattered_ids_of_a_virtual_machine(tmp_path: Path) -> None:
    cores = [CoreRow((3,), 7, 0), CoreRow((9,), 2, 0), CoreRow((17,), 40, 0)]
    found = detect(write_tree(tmp_path, cores), [3, 9, 17])
    assert [core.cpus for core in found.domains()[0]] == [(3,), (9,), (17,)]


def test_memory_only_nodes_are_no_domains(tmp_path: Path) -> None:
    found = detect(write_tree(tmp_path, two_sockets(2), memory_only_nodes=[2, 3]), range(8))
    assert sorted(found.domains()) == [0, 1]


def test_the_affinity_mask_leaves_cores_out_but_keeps_their_logical_numbers(tmp_path: Path) -> None:
    found = detect(write_tree(tmp_path, two_sockets(4)), [2, 3, 5])
    assert [(core.index, core.cpus) for cores in found.domains().values() for core in cores] == [
        (2, (2,)),
        (3, (3,)),
        (5, (5,)),
    ]


def test_a_cpuset_shifts_the_logical_numbers(tmp_path: Path) -> None:
    # hwloc, and with it Open MPI, does not see what lies outside the control group's cpuset.
    root = write_tree(tmp_path, two_sockets(4))
    put(root / "proc/self/cgroup", "0::/box")
    put(root / "sys/fs/cgroup/box/cpuset.cpus.effective", "2-5,10-13")
    found = detect(root, [2, 3, 4, 5, 10, 11, 12, 13])
    assert [(core.index, core.cpus) for core in found.cores] == [(0, (2, 10)), (1, (3, 11)), (2, (4, 12)), (3, (5, 13))]


def test_a_cpuset_read_from_another_view_gives_way_to_the_mask(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(2))
    put(root / "proc/self/cgroup", "0::/")
    put(root / "sys/fs/cgroup/cpuset.cpus.effective", "6-7")
    assert detect(root, [0, 1]).usable_cores == 2
    assert detect(root, [0, 1]).cpuset is None


def test_caches_order_cores_as_in_hwlocs_tree(tmp_path: Path) -> None:
    # Cores 0 and 2 share a cache, as do 1 and 3: hwloc counts one cache's cores before the next one's.
    root = write_tree(tmp_path, [CoreRow((cpu,), 0, 0) for cpu in range(4)])
    for cpu in range(4):
        put(root / f"sys/devices/system/cpu/cpu{cpu}/cache/index2/shared_cpu_list", f"{cpu % 2},{cpu % 2 + 2}")
    assert [core.threads for core in detect(root, range(4)).cores] == [(0,), (2,), (1,), (3,)]


def test_instructions_model_and_memory(tmp_path: Path) -> None:
    found = detect(write_tree(tmp_path, two_sockets(2), memory_only_nodes=[2]), range(8), host="xeon")
    assert found.isa == ("AVX2", "AVX-512", "AVX-512 BF16", "AMX BF16")
    assert (found.model, found.host) == ("A Xeon", "xeon")
    assert found.memory == dict.fromkeys(range(3), NODE_KIB * 1024)


def test_memory_without_numa_in_the_kernel(tmp_path: Path) -> None:
    put(tmp_path / "proc/meminfo", "MemTotal:       2048 kB\nMemFree:        1 kB")
    assert detect(tmp_path, [0]).memory == {0: 2048 * 1024}


def test_nothing_but_a_mask(tmp_path: Path) -> None:
    found = detect(tmp_path, [4, 6])
    assert found.cpus == (Cpu(4, 0, 4, 0), Cpu(6, 0, 6, 0))
    assert found.quota is None
    assert found.isa == ()
    assert found.memory == {0: 0}


def test_broken_files_are_as_good_as_none(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(1))
    put(root / "sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "nonsense")
    put(root / "sys/devices/system/cpu/cpu0/cache/index3/shared_cpu_list", "0-")
    put(root / "sys/devices/system/node/node0/meminfo", "none")
    put(root / "sys/devices/system/node/nodex/cpulist", "0")
    put(root / "sys/devices/system/cpu/cpu0/topology/physical_package_id", "-1")
    put(root / "sys/devices/system/node/node0/cpulist", "x-y")
    found = detect(root, range(4))
    assert found.cpus[0] == Cpu(0, 0, 0, 0)
    assert found.memory[0] == 0


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "250000 100000"}, 2.5),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "150000 100000"}, 1.5),
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
            },
            3.0,
        ),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"}, None),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/k/x\n0::/",
                "sys/fs/cgroup/cpu,cpuacct/k/x/cpu.cfs_quota_us": "700000",
                "sys/fs/cgroup/cpu,cpuacct/k/x/cpu.cfs_period_us": "100000",
            },
            7.0,
        ),
        (
            {
                "proc/self/cgroup": "1:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        # Inside a container the path is the host's, and only the root of the mount exists.
        ({"proc/self/cgroup": "0::/kubepods/pod1", "sys/fs/cgroup/cpu.max": "200000 100000"}, 2.0),
    ],
)
def test_quota(tmp_path: Path, files: dict[str, str], quota: float | None) -> None:
    root = write_tree(tmp_path, two_sockets(4))
    for name, text in files.items():
        put(root / name, text)
    assert detect(root, range(16)).quota == quota


def test_a_quota_caps_the_cores(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(4))
    put(root / "sys/fs/cgroup/cpu.max", "290000 100000")
    assert detect(root, range(16)).usable_cores == 2
    put(root / "sys/fs/cgroup/cpu.max", "50000 100000")
    assert detect(root, range(16)).usable_cores == 1


@pytest.mark.parametrize(("text", "cpus"), [("0-2,8", (0, 1, 2, 8)), ("5", (5,)), ("", ()), ("3,1-2", (1, 2, 3))])
def test_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus
    assert parse_cpu_list(format_cpu_list(cpus)) == cpus


@pytest.mark.parametrize(
    ("text", "cpus"), [("0x00000003", {0, 1}), ("0x1,0x0,0xf0000000", {28, 29, 30, 31, 64}), ("0x0", set())]
)
def test_hwloc_masks(text: str, cpus: set[int]) -> None:
    assert parse_hwloc_mask(text) == cpus


def test_a_mask_as_one_number() -> None:
    assert format_mask([0, 1, 33, 1]) == "0x200000003"


def test_xml_of_an_older_hwloc_without_cores(tmp_path: Path) -> None:
    (tmp_path / "old.xml").write_text(
        '<topology><object type="Machine" cpuset="0x3" allowed_cpuset="0x2">'
        '<object type="NUMANode" os_index="4" cpuset="0x3">'
        '<object type="Socket" os_index="1" cpuset="0x3"><object type="PU" os_index="0" cpuset="0x1"/>'
        '<object type="PU" os_index="1" cpuset="0x2"/></object></object></object></topology>'
    )
    found = read_hwloc_xml(tmp_path / "old.xml")
    assert found.cpus == (Cpu(0, 1, 0, 4), Cpu(1, 1, 1, 4))
    assert [core.cpus for core in found.cores] == [(1,)]
    assert found.host == "old"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<topology>", "no intact hwloc topology"),
        ("<html/>", "is no hwloc topology; write one on that host: lstopo --of xml"),
        ('<topology><object type="Machine" cpuset="0x1"/></topology>', "no CPU in it"),
        ('<topology><object type="Machine" cpuset="0xf...f"/></topology>', "no intact hwloc topology"),
        (None, "cannot read .*: No such file"),
    ],
)
def test_xml_that_is_none(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "host.xml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_hwloc_xml(tmp_path / "host.xml")


def test_a_host_described(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(2), memory_only_nodes=[2])
    put(root / "sys/fs/cgroup/cpu.max", "150000 100000")
    assert describe(detect(root, [0, 1, 4, 5], host="xeon")).splitlines() == [
        "host          xeon (A Xeon)",
        "sockets       2",
        "NUMA domains  2, and 1 of memory alone",
        "cores         4, 2 threads each (SMT)",
        "instructions  AVX2, AVX-512, AVX-512 BF16, AMX BF16",
        "cpuset        all CPUs",
        "may use       CPUs 0-1,4-5: 2 cores",
        "CPU quota     1.5 CPUs: 1 cores",
        "domain 0: CPUs 0-1,4-5, 2 cores to use, 128.0 GiB",
        "domain 1: CPUs 2-3,6-7, 0 cores to use, 128.0 GiB",
        "domain 2: memory alone, 0 cores to use, 128.0 GiB",
    ]


def test_sub_numa_domains_are_counted(tmp_path: Path) -> None:
    cores = [CoreRow((cpu,), cpu // 4, cpu // 2) for cpu in range(8)]
    assert "NUMA domains  4, 2 sub-NUMA domains per socket" in describe(detect(write_tree(tmp_path, cores), range(8)))
