"""The plan for a host, against plans written by hand."""

from pathlib import Path

import pytest
from sysfs_trees import CoreRow, put, two_sockets, write_tree

from tandem.distributed.binding import BindingPlan, plan
from tandem.distributed.topology import Topology, detect, format_cpu_list
from tandem.errors import UserError


def cpus(found: BindingPlan) -> list[str]:
    return [format_cpu_list(rank.cpus) for rank in found.ranks]


@pytest.fixture
def xeon(tmp_path: Path) -> Topology:
    return detect(write_tree(tmp_path, two_sockets()), range(112))


@pytest.mark.parametrize(
    ("num_ranks", "expected"),
    [
        ("auto", ["0-27,56-83", "28-55,84-111"]),
        (1, ["0-27,56-83"]),
        (2, ["0-27,56-83", "28-55,84-111"]),
        (3, ["0-13,56-69", "14-27,70-83", "28-41,84-97"]),
        (4, ["0-13,56-69", "14-27,70-83", "28-41,84-97", "42-55,98-111"]),
    ],
)
def test_ranks_of_a_two_socket_xeon(xeon: Topology, num_ranks: int, expected: list[str]) -> None:
    found = plan(xeon, num_ranks, "auto")
    assert cpus(found) == expected
    assert {rank.threads for rank in found.ranks} == {len(found.ranks[0].cores)}
    assert all(len(rank.numa_domains) == 1 for rank in found.ranks)


def test_no_core_is_given_twice_and_the_rest_is_named(xeon: Topology) -> None:
    for num_ranks in range(1, 57):
        found = plan(xeon, num_ranks, "auto")
        taken = [cpu for rank in found.ranks for cpu in rank.cpus]
        assert sorted([*taken, *found.leftover_cpus]) == list(range(112))


def test_a_rank_crosses_domains_only_when_it_needs_more_cores_than_one_has(xeon: Topology) -> None:
    assert plan(xeon, 1, 40).ranks[0].numa_domains == (0, 1)
    assert plan(xeon, "auto", 56).ranks[0].threads == 56
    with pytest.raises(UserError, match="without a rank across two"):
        plan(xeon, 3, 18)


def test_explicit_cores_fill_the_domains_evenly(xeon: Topology) -> None:
    assert cpus(plan(xeon, 2, 4)) == ["0-3,56-59", "28-31,84-87"]
    assert cpus(plan(xeon, "auto", 14)) == ["0-13,56-69", "28-41,84-97"]


def test_one_domain_of_two_cores_has_two_ranks(tmp_path: Path) -> None:
    topology = detect(write_tree(tmp_path, [CoreRow((0,), 0, 0), CoreRow((1,), 0, 0)]), [0, 1])
    assert cpus(plan(topology, "auto", "auto")) == ["0", "1"]
    assert cpus(plan(topology, "auto", 2)) == ["0-1"]
    assert plan(topology, 1, "auto").ranks[0].threads == 2


def test_one_core_has_one_rank(tmp_path: Path) -> None:
    topology = detect(write_tree(tmp_path, [CoreRow((0, 1), 0, 0)]), [0, 1])
    assert cpus(plan(topology, "auto", "auto")) == ["0-1"]
    assert plan(topology, "auto", "auto").ranks[0].threads == 1


def test_a_cpuset_that_halves_a_socket(tmp_path: Path) -> None:
    topology = detect(write_tree(tmp_path, two_sockets(8)), [*range(12), *range(16, 28)])
    assert cpus(plan(topology, 2, "auto")) == ["0-3,16-19", "8-11,24-27"]
    assert cpus(plan(topology, 3, "auto")) == ["0-3,16-19", "4-7,20-23", "8-11,24-27"]


def test_a_quota_below_the_cpuset(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(8))
    put(root / "sys/fs/cgroup/cpu.max", "600000 100000")
    topology = detect(root, range(32))
    found = plan(topology, "auto", "auto")
    assert cpus(found) == ["0-2,16-18", "8-10,24-26"]
    with pytest.raises(UserError, match=r"this host has 6 to use \(CPU quota 6\)"):
        plan(topology, 2, 4)
    assert plan(topology, 7, "auto").oversubscribed


def test_more_ranks_than_cores_are_unbound_and_said(xeon: Topology) -> None:
    found = plan(xeon, 57, "auto")
    assert found.oversubscribed
    assert not any(rank.bound for rank in found.ranks)
    assert {rank.threads for rank in found.ranks} == {1}
    assert "57 ranks share 56 cores" in found.warnings[0]


def test_without_binding_every_rank_may_run_everywhere(xeon: Topology) -> None:
    found = plan(xeon, 4, "auto", bind=False)
    assert {rank.cpus for rank in found.ranks} == {tuple(range(112))}
    assert {rank.threads for rank in found.ranks} == {14}
    assert not found.oversubscribed


def test_table(xeon: Topology) -> None:
    lines = plan(xeon, 2, 4).table().splitlines()
    assert lines[0].split() == ["rank", "cpus", "numa", "threads", "bound"]
    assert lines[2].split() == ["1", "28-31,84-87", "1", "4", "to", "cores"]
    assert lines[3].startswith("left over: 4-27,")
