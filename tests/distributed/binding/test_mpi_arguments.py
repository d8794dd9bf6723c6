"""The plan in the words of each MPI. Open MPI's own mapper reads them in ``test_saved_machines``."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sysfs_trees import CoreRow, two_sockets, write_tree

from tandem.distributed.binding.mpi_arguments import MPI_NAMES, Mpi, binds_itself, launch_line
from tandem.distributed.binding.planning import plan
from tandem.distributed.topology import Topology, detect
from tandem.parameters import DistributedParameters

PROGRAM = ["python", "-m", "rank"]
FILE = Path("rankfile")


@pytest.fixture(scope="module")
def xeon(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    """2 sockets of 28 cores of 2 threads."""
    return detect(write_tree(tmp_path_factory.mktemp("xeon"), two_sockets()), range(112), host="xeon")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Topology:
    """1 socket of 4 cores without SMT."""
    tree = write_tree(tmp_path_factory.mktemp("small"), [CoreRow((cpu,), 0, 0) for cpu in range(4)])
    return detect(tree, range(4), host="small")


def line(mpi: Mpi, hosts: list[Topology], **parameters: Any) -> tuple[str, dict[str, str], list[str]]:
    said = launch_line(plan(hosts, DistributedParameters(**parameters)), mpi, PROGRAM, FILE)
    return " ".join(said.arguments), dict(said.environment), said.rankfile.splitlines()


def test_open_mpi_5(xeon: Topology) -> None:
    assert line("openmpi5", [xeon]) == (
        "-np 2 --map-by rankfile:file=rankfile python -m rank",
        {},
        ["rank 0=localhost slot=0-27", "rank 1=localhost slot=28-55"],
    )


def test_open_mpi_4(xeon: Topology) -> None:
    assert line("openmpi4", [xeon]) == (
        "-np 2 --rankfile rankfile python -m rank",
        {},
        ["rank 0=localhost slot=0-27", "rank 1=localhost slot=28-55"],
    )


def test_parts_of_cores_are_hardware_threads_to_open_mpi(xeon: Topology) -> None:
    slots = ["rank 0=localhost slot=0-3", "rank 1=localhost slot=4-5,8"]
    given = {"rank_cpus": ["0,1,56,57", "2,4,58"]}
    arguments, _, rankfile = line("openmpi5", [xeon], **given)
    assert (arguments, rankfile) == ("-np 2 --map-by rankfile:file=rankfile:hwtcpus python -m rank", slots)
    arguments, _, rankfile = line("openmpi4", [xeon], **given)
    assert (arguments, rankfile) == ("-np 2 --use-hwthread-cpus --rankfile rankfile python -m rank", slots)


def test_intel_mpi_takes_masks_of_cpus(xeon: Topology) -> None:
    assert line("intelmpi", [xeon], cores_per_rank=4) == (
        # CPUs 0-3 and 56-59, 28-31 and 84-87: four to a digit.
        f"-n 2 -env I_MPI_PIN_DOMAIN [0xf{'0' * 13}f,0xf{'0' * 13}f{'0' * 7}] python -m rank",
        {"I_MPI_PIN": "1", "I_MPI_PIN_CELL": "unit"},
        [],
    )


def test_mpich_takes_lists_of_cpus(xeon: Topology) -> None:
    arguments, environment, _ = line("mpich", [xeon], cores_per_rank=2)
    assert arguments == "-bind-to user:0+1+56+57,28+29+84+85 -n 2 python -m rank"
    assert environment == {}


def test_several_hosts(xeon: Topology, small: Topology) -> None:
    arguments, _, rankfile = line("openmpi5", [xeon, small], num_ranks=16, cores_per_rank=1)
    assert arguments == "-np 16 --host xeon:15,small:1 --map-by rankfile:file=rankfile python -m rank"
    assert rankfile[0] == "rank 0=xeon slot=0"
    assert rankfile[15] == "rank 15=small slot=0"
    arguments, _, _ = line("intelmpi", [small, xeon], num_ranks=16)
    first, second = arguments.split(" : ")
    assert first == "-n 1 -host small -env I_MPI_PIN_DOMAIN [0xf] python -m rank"
    assert second.startswith("-n 15 -host xeon -env I_MPI_PIN_DOMAIN [0x7")


@pytest.mark.parametrize("mpi", ["openmpi5", "openmpi4"])
def test_one_host_of_parts_of_cores_has_all_hosts_counted_in_hardware_threads(
    xeon: Topology, small: Topology, mpi: Mpi
) -> None:
    """A rankfile has one way of counting, whatever else the other hosts are."""
    cut = replace(xeon, allowed=tuple(range(56)), host="cut")
    _, _, rankfile = line(mpi, [cut, xeon, small], cores_per_rank=2)
    assert rankfile == [
        *("rank 0=cut slot=0,2", "rank 1=cut slot=56,58"),
        *("rank 2=xeon slot=0-3", "rank 3=xeon slot=56-59"),
        "rank 4=small slot=0-1",
    ]


def test_mpich_has_one_list_for_all_hosts(xeon: Topology, small: Topology) -> None:
    twins = plan([small, replace(small, host="twin")], DistributedParameters(cores_per_rank=2))
    assert not binds_itself(twins, "mpich")
    assert launch_line(twins, "mpich", PROGRAM, FILE).arguments[:2] == ("-bind-to", "user:0+1")
    unequal = plan([xeon, small], DistributedParameters())
    assert binds_itself(unequal, "mpich")
    assert launch_line(unequal, "mpich", PROGRAM, FILE).arguments[:2] == ("-bind-to", "none")
    assert not binds_itself(unequal, "intelmpi")


@pytest.mark.parametrize("mpi", ["openmpi5", "openmpi4"])
def test_lists_that_open_mpi_would_cut_off_are_not_given_to_it(xeon: Topology, mpi: Mpi) -> None:
    fits = plan([xeon], DistributedParameters(rank_cpus=(",".join(map(str, range(0, 26))), "28")))
    assert not binds_itself(plan([xeon], DistributedParameters(rank_cpus=("0-9", "28"))), mpi)
    assert binds_itself(fits, mpi), "26 first threads: more than 63 characters"
    said = launch_line(fits, mpi, PROGRAM, FILE)
    assert said.rankfile == ""
    assert said.arguments[-5:-3] == ("--bind-to", "none")
    assert not binds_itself(fits, "intelmpi")


@pytest.mark.parametrize("mpi", MPI_NAMES)
def test_more_ranks_than_cores(small: Topology, mpi: Mpi) -> None:
    arguments, environment, rankfile = line(mpi, [small], num_ranks=5)
    assert rankfile == []
    assert {
        "openmpi5": "-np 5 --map-by :OVERSUBSCRIBE --bind-to none python -m rank",
        "openmpi4": "-np 5 --oversubscribe --bind-to none python -m rank",
        "intelmpi": "-n 5 python -m rank",
        "mpich": "-bind-to none -n 5 python -m rank",
    }[mpi] == arguments
    assert environment == ({"I_MPI_PIN": "0", "I_MPI_THREAD_YIELD": "2"} if mpi == "intelmpi" else {})
