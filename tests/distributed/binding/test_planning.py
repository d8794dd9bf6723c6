"""The rules of the plan, one by one; whole plans of saved hosts are in ``test_saved_machines``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sysfs_trees import CoreRow, put, two_sockets, write_tree

from tandem.distributed.binding.planning import apportion, plan
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.topology import Topology, detect, format_cpu_list
from tandem.errors import UserError
from tandem.parameters import DistributedParameters


def planned(host: Topology, **parameters: Any) -> BindingPlan:
    return plan([host], DistributedParameters(**parameters))


def cpus(found: BindingPlan) -> list[str]:
    return [format_cpu_list(rank.cpus) for rank in found.ranks]


def threads(found: BindingPlan) -> set[int]:
    return {rank.threads for rank in found.ranks}


@pytest.fixture(scope="module")
def xeon(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    """2 sockets of 28 cores of 2 threads."""
    return detect(write_tree(tmp_path_factory.mktemp("xeon"), two_sockets()), range(112), host="xeon")


@pytest.fixture(scope="module")
def snc(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    """2 sockets, each with two sub-NUMA domains of 4 cores."""
    cores = [CoreRow((cpu,), cpu // 8, cpu // 4) for cpu in range(16)]
    return detect(write_tree(tmp_path_factory.mktemp("snc"), cores), range(16), host="snc")


def test_auto_is_a_rank_per_domain(xeon: Topology, snc: Topology) -> None:
    assert cpus(planned(xeon)) == ["0-27,56-83", "28-55,84-111"]
    assert cpus(planned(snc)) == ["0-3", "4-7", "8-11", "12-15"]


def test_one_domain_of_two_cores_has_two_ranks(tmp_path: Path) -> None:
    host = detect(write_tree(tmp_path, [CoreRow((0,), 0, 0), CoreRow((1,), 0, 0)]), [0, 1])
    assert cpus(planned(host)) == ["0", "1"]
    assert cpus(planned(host, cores_per_rank=2)) == ["0-1"]
    assert threads(planned(host, num_ranks=1)) == {2}


def test_one_core_has_one_rank(tmp_path: Path) -> None:
    host = detect(write_tree(tmp_path, [CoreRow((0, 1), 0, 0)]), [0, 1])
    assert cpus(planned(host)) == ["0-1"]
    assert threads(planned(host)) == {1}


def test_a_domain_of_few_cores_does_not_size_all_ranks(xeon: Topology) -> None:
    few = replace(xeon, allowed=(*range(30), *range(56, 86)))
    assert cpus(planned(few)) == ["0-13,56-69", "14-27,70-83"]
    assert "xeon: 2 of 30 cores are left over" in planned(few).notes
    half = replace(xeon, allowed=(*range(42), *range(56, 98)))
    assert len(planned(half).ranks) == 2
    assert "xeon: 14 of 42 cores are left over; 3 ranks of 14 would use 42" in planned(half).notes


def test_a_domain_is_told(xeon: Topology, snc: Topology) -> None:
    assert cpus(planned(snc, domain="package")) == ["0-7", "8-15"]
    assert cpus(planned(snc, domain="host", num_ranks=1)) == ["0-15"]
    assert "snc: ranks 0-1 run across NUMA domains" in planned(snc, domain="package").notes
    assert cpus(planned(snc, domain="package", cores_per_rank=3)) == ["0-2", "8-10"], "kept inside where they fit"


def test_a_rank_crosses_domains_only_when_it_needs_more_cores_than_one_has(xeon: Topology, snc: Topology) -> None:
    assert planned(xeon, num_ranks=1, cores_per_rank=40).ranks[0].numa_domains == (0, 1)
    assert len(planned(xeon, cores_per_rank=56).ranks) == 1
    assert cpus(planned(snc, num_ranks=2, cores_per_rank=6)) == ["0-5", "8-13"], "across domains, but not sockets"
    assert len(planned(xeon, cores_per_rank=40).ranks) == 1
    with pytest.raises(UserError, match=r"without a rank across two; .* by distributed.domain: package"):
        planned(xeon, num_ranks=3, cores_per_rank=18)
    with pytest.raises(UserError, match=r"packages of 8, 8 cores .* by distributed.domain: host"):
        planned(snc, num_ranks=3, cores_per_rank=5)
    assert cpus(planned(snc, num_ranks=3, cores_per_rank=5, domain="host")) == ["0-4", "5-9", "10-14"]


def test_explicit_cores_fill_the_domains_evenly(xeon: Topology) -> None:
    assert cpus(planned(xeon, num_ranks=2, cores_per_rank=4)) == ["0-3,56-59", "28-31,84-87"]
    assert cpus(planned(xeon, cores_per_rank=14)) == ["0-13,56-69", "28-41,84-97"]
    assert planned(xeon, num_ranks=2, cores_per_rank=4).notes == ("xeon: 48 of 56 cores are left over",)


def test_large_ranks_keep_a_core_for_communication(xeon: Topology) -> None:
    found = planned(xeon, num_ranks=4, cores_per_rank=8)
    assert threads(found) == {7}
    assert [rank.horovod_cpu for rank in found.ranks] == [7, 15, 35, 43]
    assert all(rank.horovod_cpu in rank.cpus for rank in found.ranks)
    small = planned(xeon, num_ranks=4, cores_per_rank=7)
    assert threads(small) == {7}
    assert {rank.horovod_cpu for rank in small.ranks} == {None}
    alone = planned(xeon, num_ranks=1)
    assert (threads(alone), alone.ranks[0].horovod_cpu) == ({28}, None)


def test_communication_cores_are_told(xeon: Topology) -> None:
    two = planned(xeon, communication_cores=2)
    assert threads(two) == {26}
    assert [rank.horovod_cpu for rank in two.ranks] == [27, 55]
    none = planned(xeon, communication_cores=0)
    assert threads(none) == {28}
    assert {rank.horovod_cpu for rank in none.ranks} == {None}
    with pytest.raises(UserError, match="4 of a rank's 4 cores leave none to compute on"):
        planned(xeon, cores_per_rank=4, communication_cores=4)


def test_horovods_cpus_are_told(xeon: Topology) -> None:
    assert [rank.horovod_cpu for rank in planned(xeon, horovod_cpus=[83, 111]).ranks] == [83, 111]
    without = planned(xeon, horovod_cpus="none")
    assert {rank.horovod_cpu for rank in without.ranks} == {None}
    assert threads(without) == {27}, "the core is kept all the same"
    with pytest.raises(UserError, match="horovod_cpus: 1 CPUs for the 2 ranks of xeon"):
        planned(xeon, horovod_cpus=[3])
    with pytest.raises(UserError, match="horovod_cpus: CPUs 112 may not be used on xeon, which has 0-111"):
        planned(xeon, horovod_cpus=[3, 112])


def test_threads_are_told(xeon: Topology) -> None:
    assert threads(planned(xeon, threads_per_rank=5)) == {5}
    assert threads(planned(xeon, hardware_threads=True)) == {54}
    assert threads(planned(xeon, cores_per_rank=4, hardware_threads=True)) == {8}


def test_cpus_are_told(xeon: Topology) -> None:
    found = planned(xeon, rank_cpus=["0-9", "28-31,40"])
    assert cpus(found) == ["0-9", "28-31,40"]
    assert [rank.threads for rank in found.ranks] == [9, 5], "each rank has what it needs for communication"
    assert [rank.horovod_cpu for rank in found.ranks] == [None, None], "Horovod takes a CPU for each rank, or for none"
    assert found.ranks[1].cores == (28, 29, 30, 31, 40)
    assert found.ranks[1].hardware_threads == (56, 58, 60, 62, 80), "the first threads of these cores"
    assert found.leftovers["xeon"][:2] == (10, 11)
    assert not any(rank.whole_cores for rank in found.ranks)
    whole = planned(xeon, rank_cpus=["0-1,56-57", "2-3,58-59"]).ranks
    assert [(rank.whole_cores, rank.hardware_threads) for rank in whole] == [(True, (0, 1, 2, 3)), (True, (4, 5, 6, 7))]
    assert cpus(planned(xeon, rank_cpus=[0, 1])) == ["0", "1"], "as YAML reads them"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rank_cpus": ["0-3", "3-5"]}, "CPUs 3 are given to two ranks"),
        ({"rank_cpus": ["0-3", "112"]}, "CPUs 112 may not be used on xeon"),
        ({"rank_cpus": ["0-3"], "num_ranks": 2}, "1 CPU lists for the 2 ranks of xeon"),
        ({"rank_cpus": ["0-3", "26-29"], "strict": True}, "rank 1 runs across domains 0-1, though one would hold it"),
    ],
)
def test_cpus_that_cannot_be(xeon: Topology, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        planned(xeon, **parameters)


def test_told_cpus_across_domains_are_warned_of(xeon: Topology) -> None:
    assert "rank 1 runs across domains 0-1" in planned(xeon, rank_cpus=["0-3", "26-29"]).warnings[0]
    assert not planned(xeon, rank_cpus=["0-3", "26-29"], domain="host", strict=True).warnings


@pytest.mark.parametrize("cpu_list", ["", "a", "0-", "1,,2", "-1"])
def test_what_is_no_cpu_list(cpu_list: str) -> None:
    with pytest.raises(ValidationError):
        DistributedParameters(rank_cpus=(cpu_list,))


def test_a_quota_below_the_cpuset(tmp_path: Path) -> None:
    root = write_tree(tmp_path, two_sockets(8))
    put(root / "sys/fs/cgroup/cpu.max", "600000 100000")
    host = detect(root, range(32), host="xeon")
    assert cpus(planned(host)) == ["0-2,16-18", "8-10,24-26"]
    assert planned(host).notes == ("xeon: the CPU quota of 6 allows 6 of 16 cores",)
    with pytest.raises(UserError, match=r"xeon has 6 to use \(CPU quota 6\)"):
        planned(host, num_ranks=2, cores_per_rank=4)
    assert planned(host, num_ranks=7).oversubscribed
    assert "8 cores for a CPU quota of 6" in planned(host, rank_cpus=["0-3", "8-11"]).warnings[0]


def test_more_ranks_than_cores_are_unbound_and_said(xeon: Topology) -> None:
    found = planned(xeon, num_ranks=57)
    assert found.oversubscribed
    assert not any(rank.bound for rank in found.ranks)
    assert threads(found) == {1}
    assert "57 ranks share 56 cores: unbound, one thread each" in found.warnings[0]
    assert threads(planned(xeon, num_ranks=57, threads_per_rank=2)) == {2}


def test_without_binding_every_rank_may_run_everywhere(xeon: Topology) -> None:
    found = planned(xeon, num_ranks=4, bind=False)
    assert {rank.cpus for rank in found.ranks} == {tuple(range(112))}
    assert threads(found) == {13}
    assert {rank.horovod_cpu for rank in found.ranks} == {None}
    assert not found.oversubscribed


def test_hosts_are_planned_one_by_one(xeon: Topology, snc: Topology) -> None:
    found = plan([xeon, snc], DistributedParameters())
    assert [(rank.rank, rank.host, rank.local_rank) for rank in found.ranks] == [
        (0, "xeon", 0),
        (1, "xeon", 1),
        (2, "snc", 0),
        (3, "snc", 1),
        (4, "snc", 2),
        (5, "snc", 3),
    ]
    assert [rank.threads for rank in found.ranks] == [27, 27, 4, 4, 4, 4]
    assert list(found.leftovers) == ["xeon", "snc"]
    given = plan([xeon, snc], DistributedParameters(), ranks_per_host=[1, 2])
    assert cpus(given) == ["0-27,56-83", "0-3", "8-11"]
    assert [rank.threads for rank in given.ranks] == [27, 4, 4], "not alone: the other ranks are elsewhere"


def test_a_number_of_ranks_is_divided_in_the_ratio_of_cores(xeon: Topology, snc: Topology) -> None:
    assert apportion([xeon, snc], DistributedParameters(num_ranks=9)) == [7, 2]
    assert apportion([xeon, xeon], DistributedParameters(num_ranks=5)) == [3, 2]
    assert [rank.host for rank in plan([snc, xeon], DistributedParameters(num_ranks=1)).ranks] == ["xeon"]


def test_no_rank_is_bound_where_one_host_is_oversubscribed(xeon: Topology, snc: Topology) -> None:
    found = plan([xeon, snc], DistributedParameters(), ranks_per_host=[2, 17])
    assert not any(rank.bound for rank in found.ranks)
    assert [rank.threads for rank in found.ranks[:3]] == [27, 27, 1]


def test_table(xeon: Topology) -> None:
    lines = planned(xeon, num_ranks=2, cores_per_rank=8).table().splitlines()
    assert lines[0].split() == ["rank", "host", "cpus", "threads", "horovod", "numa", "bound"]
    assert lines[2].split() == ["1", "xeon", "28-35,84-91", "7", "35", "1", "to", "cores"]
    assert lines[3] == "left over: 8-27,36-55,64-83,92-111"
    assert lines[4] == "note: xeon: 40 of 56 cores are left over"
