"""``tandem topology``: what it prints, and that what cannot be is one line."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from machines import saved_xml

from tandem.cli import cli


def said(*arguments: object) -> str:
    done = CliRunner().invoke(cli, ["topology", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_this_host() -> None:
    output = said("--ranks", 1)
    first = output.splitlines()[0].split()
    assert first[:2] == ["host", os.uname().nodename]
    assert "plan of 1 rank\n" in output


def test_a_saved_host(tmp_path: Path) -> None:
    output = said("--xml", saved_xml("xeon_2x56_snc4", tmp_path), "--ranks", 2)
    assert "NUMA domains  8, 4 sub-NUMA domains per socket" in output
    assert output.split("plan of 2 ranks\n")[1].splitlines()[:3] == [
        "rank  host            cpus           threads  horovod  numa  bound",
        "0     xeon_2x56_snc4  0-13,112-125   13       13       0     to cores",
        "1     xeon_2x56_snc4  56-69,168-181  13       69       4     to cores",
    ]
    assert "note: xeon_2x56_snc4: 84 of 112 cores are left over; 8 ranks of 14 would use 112" in output


def test_several_hosts_and_what_mpi_is_told(tmp_path: Path) -> None:
    files = [saved_xml(name, tmp_path) for name in ("xeon_2x28", "one_socket_without_smt")]
    output = said("--xml", files[0], "--xml", files[1], "--mpi", "openmpi5")
    assert output.splitlines()[-5:] == [
        "mpirun -np 3 --host xeon_2x28:2,one_socket_without_smt:1 --map-by rankfile:file=RANKFILE PROGRAM",
        "RANKFILE:",
        "rank 0=xeon_2x28 slot=0-27",
        "rank 1=xeon_2x28 slot=28-55",
        "rank 2=one_socket_without_smt slot=0-31",
    ]


def test_every_part_can_be_told(tmp_path: Path) -> None:
    xml = saved_xml("xeon_2x56_snc4", tmp_path)
    output = said("--xml", xml, "--domain", "package", "--cores-per-rank", 20, "--communication-cores", 2)
    rows = [line.split()[2:6] for line in output.split("plan of 2 ranks\n")[1].splitlines()[1:3]]
    assert rows == [["0-19,112-131", "18", "19", "0-1"], ["56-75,168-187", "18", "75", "4-5"]]


def test_more_ranks_than_cores_are_warned_of(tmp_path: Path) -> None:
    output = said("--xml", saved_xml("vm_with_scattered_ids", tmp_path), "--ranks", 7)
    assert output.rstrip().endswith("timings of such a run are no scaling measurement")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cores-per-rank", "4000"], "Error: distributed.cores_per_rank: 1 ranks of 4000 cores need 4000"),
        (["--xml", "nowhere.xml"], "Error: cannot read nowhere.xml: No such file or directory"),
        (["--xml", "a/x.xml", "--xml", "b/x.xml"], "Error: --xml: each file is named after its host, but two are"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, ["topology", *arguments])
    assert done.exit_code == 1
    assert done.output.startswith(message)
    assert done.output.count("\n") == 1
