"""Plans for saved hosts: against plans written by hand, and against the mapper of Open MPI itself."""

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from machines import MACHINES, Plan, saved_xml

from tandem.distributed import installed
from tandem.distributed.binding.mpi_arguments import binds_itself, launch_line
from tandem.distributed.binding.planning import plan
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.topology import Topology, detect, format_cpu_list, parse_cpu_list
from tandem.distributed.topology.hwloc_xml import read_hwloc_xml
from tandem.parameters import DistributedParameters

CASES = [pytest.param(name, ranks, id=f"{name}-{ranks}") for name, found in MACHINES.items() for ranks in found.plans]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Topology]:
    """Every machine, read from a sysfs tree."""
    folder = tmp_path_factory.mktemp("trees")
    return {name: detect(found.write(folder / name), found.mask, host="xeon") for name, found in MACHINES.items()}


def from_xml(name: str, folder: Path) -> Topology:
    found = read_hwloc_xml(saved_xml(name, folder), host="xeon")
    quota = 6.5 if MACHINES[name].quota else None
    return replace(found, allowed=tuple(sorted(MACHINES[name].mask)), quota=quota)


def planned(host: Topology, ranks: int) -> BindingPlan:
    return plan([host], DistributedParameters(num_ranks=ranks))


def check_by_hand(found: BindingPlan, ranks: int, expected: Plan) -> None:
    assert len(found.ranks) == ranks
    assert {rank.threads for rank in found.ranks} == {expected.threads}
    assert found.bound == bool(expected.cpus)
    assert found.oversubscribed == (not expected.cpus)
    if found.bound:
        assert [format_cpu_list(rank.cpus) for rank in found.ranks] == [
            format_cpu_list(parse_cpu_list(cpus)) for cpus in expected.cpus
        ]
        assert [rank.horovod_cpu for rank in found.ranks] == list(expected.horovod or [None] * ranks)


@pytest.mark.parametrize(("name", "ranks"), CASES)
def test_the_plan_is_the_one_written_by_hand(trees: dict[str, Topology], name: str, ranks: int, tmp_path: Path) -> None:
    for host in (trees[name], from_xml(name, tmp_path)):
        check_by_hand(planned(host, ranks), ranks, MACHINES[name].plans[ranks])


@pytest.mark.parametrize("name", MACHINES)
def test_no_number_of_ranks_shares_a_cpu_or_crosses_a_domain(trees: dict[str, Topology], name: str) -> None:
    node_of = {cpu: core.node for core in MACHINES[name].cores for cpu in core.cpus}
    host = trees[name]
    for ranks in range(1, host.usable_cores + 1):
        found = planned(host, ranks)
        taken = [cpu for rank in found.ranks for cpu in rank.cpus]
        assert sorted([*taken, *found.leftovers["xeon"]]) == sorted(MACHINES[name].mask)
        assert all(len({node_of[cpu] for cpu in rank.cpus}) == 1 for rank in found.ranks)
        assert len({len(rank.cores) for rank in found.ranks}) == 1, "all ranks have as many cores"


@pytest.mark.parametrize("name", MACHINES)
def test_tree_and_xml_are_one_host(trees: dict[str, Topology], name: str, tmp_path: Path) -> None:
    tree, xml = trees[name], from_xml(name, tmp_path)
    assert tree.cores == xml.cores
    assert tree.domains() == xml.domains()
    assert tree.memory == xml.memory


def map_by_open_mpi(found: BindingPlan, xml: Path, folder: Path) -> tuple[list[str], str]:
    """The CPUs that Open MPI's mapper gives each rank on the topology, by their ids, and all that it printed.

    Its table of bindings mixes ids and logical numbers, so the CPUs are taken from what the mapper says of itself.
    """
    launch = launch_line(found, "openmpi5", ["hostname"], folder / "rankfile")
    (folder / "rankfile").write_text(launch.rankfile)
    simulated = f"--prtemca hwloc_use_topo_file {xml} --prtemca rmaps_base_verbose 5"
    shown = "--runtime-options donotlaunch --display map-devel"
    argv = [str(installed.required_mpirun()), *simulated.split(), *shown.split(), *launch.arguments]
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    done = subprocess.run(
        argv, env={**os.environ, **root}, capture_output=True, text=True, errors="replace", timeout=300, check=False
    )
    said = done.stdout + done.stderr
    return re.findall(r"rank_file: convert slots from <\S+> to <(\S+)>", said), said


@pytest.mark.slow
@pytest.mark.skipif(installed.mpirun_missing() is not None, reason="there is no mpirun")
@pytest.mark.parametrize(("name", "ranks"), CASES)
def test_open_mpi_maps_the_plan(trees: dict[str, Topology], name: str, ranks: int, tmp_path: Path) -> None:
    found = planned(trees[name], ranks)
    mapped, said = map_by_open_mpi(found, saved_xml(name, tmp_path), tmp_path)
    by_hand = MACHINES[name].plans[ranks]
    assert binds_itself(found, "openmpi5") != by_hand.told
    expected = by_hand.cpus if by_hand.told else []
    assert mapped == [format_cpu_list(parse_cpu_list(cpus)) for cpus in expected], said
    assert said.count("Binding: package") == len(mapped), said
    assert said.count("Binding: UNBOUND") == ranks - len(mapped), said
