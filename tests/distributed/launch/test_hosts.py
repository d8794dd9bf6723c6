"""Which hosts, how they are reached, what is asked of them, and how mpirun is told."""

import json
import os
import stat
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import machines
import pytest
from pydantic import ValidationError

from tandem.distributed.binding.planning import plan
from tandem.distributed.launch import mpirun, preflight, survey
from tandem.distributed.launch.hosts import Answer, Host, find_agent, hosts_of, ranks_per_host, run_on
from tandem.distributed.launch.launcher import launch
from tandem.distributed.launch.preflight import MARK, Question, look
from tandem.distributed.topology import Cpu, Topology, detect
from tandem.distributed.topology.transfer import from_json, to_json
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

GIB = 1 << 30


def hostfile(folder: Path, text: str) -> DistributedParameters:
    (folder / "hosts.txt").write_text(text)
    return DistributedParameters(hostfile=folder / "hosts.txt")


def test_hosts_of_a_list_and_of_a_hostfile_in_all_its_spellings(tmp_path: Path) -> None:
    listed = hosts_of(DistributedParameters(hosts=("node1:2", "10.0.0.7:4")))
    assert listed == [Host("node1", 2), Host("10.0.0.7", 4)]
    text = "# two nodes\nnode1 slots=2\n\n10.0.0.7:4  # the large one\n"
    assert hosts_of(hostfile(tmp_path, text)) == listed
    assert hosts_of(hostfile(tmp_path, "node1\nnode2\n")) == [Host("node1"), Host("node2")]
    assert hosts_of(DistributedParameters()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "node1 slots=2\nnode2 slots=x\n",
            "line 2: expected `node1 slots=2` or `node1:2`, found 'node2 slots=x'",
        ),
        ("-oProxyCommand=x\n", "line 1: expected"),
        ("node1:2\nnode2:2\nnode1:2\n", "node1 stands there twice"),
        ("node1:2\nnode2\n", "some hosts say how many ranks and some do not"),
        ("# nobody\n", "no host in it"),
    ],
)
def test_a_hostfile_that_cannot_be_meant(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        hosts_of(hostfile(tmp_path, text))
    assert said in str(caught.value)
    assert "hosts.txt" in str(caught.value)


def test_a_missing_hostfile_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"distributed\.hostfile: cannot read .*nowhere"):
        hosts_of(DistributedParameters(hostfile=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": ["-oProxyCommand=x"]},
        {"hosts": ["node1:0"]},
        {"hosts": ["node1 node2"]},
        {"launch_agent": "-x"},
        {"launch_agent": ""},
        {"launch_agent": "ssh : rsh"},
        {"network": "10.0.0.1/8"},
        {"network": "eth0 --mca x"},
        {"hosts": ["node1"], "hostfile": "hosts.txt"},
    ],
)
def test_parameters_that_mpirun_or_an_agent_would_take_for_something_else(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DistributedParameters(**wrong)


def test_ranks_fill_the_hosts_in_their_order() -> None:
    hosts = [Host("node1", 2), Host("node2", 4)]
    assert ranks_per_host(hosts, DistributedParameters()) == [2, 4]
    assert ranks_per_host(hosts, DistributedParameters(num_ranks=3)) == [2, 1]
    assert ranks_per_host([Host("node1")], DistributedParameters()) is None
    with pytest.raises(UserError, match=r"num_ranks: 7 ranks for hosts that take 6 together"):
        ranks_per_host(hosts, DistributedParameters(num_ranks=7))


def agent(folder: Path, text: str) -> list[str]:
    program = folder / "agent"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return find_agent(DistributedParameters(launch_agent=f"{program} -q"))


def test_the_agent_gets_a_host_and_one_text_that_a_shell_takes_apart_again(tmp_path: Path) -> None:
    words = agent(tmp_path, 'echo "$1 $2 $#"; eval "$3"')
    answer = run_on(Host("node1"), ["printf", "%s|", "a b", "$HOME", "'; exit 7"], words, 10.0)
    assert answer.out == "-q node1 3\na b|$HOME|'; exit 7|"
    assert answer.code == 0
    here = run_on(Host("localhost"), ["printf", "here"], ["/no/such/agent"], 10.0)
    assert here.out == "here", "this host needs no agent"


def test_an_agent_that_does_not_come_back_is_ended(tmp_path: Path) -> None:
    words = agent(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 100")
    begin = time.monotonic()
    answer = run_on(Host("node1"), ["true"], words, 0.5)
    assert (answer.code, answer.reason) == (124, "no answer within 0.5 s")
    assert time.monotonic() - begin < 10.0
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_missing_agent_is_named() -> None:
    with pytest.raises(UserError, match=r"distributed\.launch_agent: there is no program no-such-agent"):
        find_agent(DistributedParameters(launch_agent="no-such-agent -q"))


@pytest.mark.parametrize("name", [*machines.MACHINES, "this one"])
def test_a_topology_survives_the_way_as_json(tmp_path: Path, name: str) -> None:
    machine = None if name == "this one" else machines.MACHINES[name]
    host = detect() if machine is None else detect(machine.write(tmp_path), machine.mask)
    assert from_json(to_json(host)) == host


def question(folder: Path, **others: Any) -> Question:
    (folder / "token").write_text("the token")
    asked = Question("torch", str(folder), str(folder / "token"), "the token", {})
    return replace(asked, **others)


def test_what_a_host_finds_of_itself(tmp_path: Path) -> None:
    data = tmp_path / "rows"
    data.write_text("four")
    fits = look(question(tmp_path, sizes={str(data): 4, str(tmp_path): None}))
    assert fits.problems == []
    assert from_json(fits.topology) == detect()
    assert fits.memory > 0
    assert abs(fits.time - time.time()) < 60.0
    assert fits.versions["Python"] == sys.version.split()[0]
    assert fits.versions["torch"].startswith("2.")
    (smaller,) = look(question(tmp_path, sizes={str(data): 5})).problems
    assert smaller.startswith(f"has another {data} (4 bytes, here 5)")
    (unseen,) = look(question(tmp_path, sizes={"/no/such/rows": 4})).problems
    assert unseen.startswith("does not see /no/such/rows; put the data on storage")
    (elsewhere,) = look(question(tmp_path, proof="another")).problems
    assert elsewhere.startswith(f"does not see the work folder {tmp_path}")


def test_memory_is_what_is_left_within_the_limit_of_the_control_group(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable:    8388608 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/job\n")
    assert preflight.memory_left(tmp_path) == 8 * GIB
    job = tmp_path / "sys/fs/cgroup/job"
    job.mkdir(parents=True)
    (job / "memory.max").write_text(f"{3 * GIB}\n")
    (job / "memory.current").write_text(f"{2 * GIB}\n")
    assert preflight.memory_left(tmp_path) == GIB
    (job / "memory.stat").write_text(f"anon 5\ninactive_file {GIB}\n")
    assert preflight.memory_left(tmp_path) == 2 * GIB
    (job / "memory.max").write_text("max\n")
    assert preflight.memory_left(tmp_path) == 8 * GIB


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, **differs: Any) -> str | survey.Surveyed:
    report = asdict(look(question(folder))) | differs
    answer = Answer(0, f"Welcome!\n{MARK}{json.dumps(report)}\nbye\n", "", time.time() - 1.0, time.time())
    monkeypatch.setattr(survey, "run_on_all", lambda *_: [answer])
    try:
        (found,) = survey.survey([Host("node1")], [], {}, framework="torch", work_dir=folder, seconds=1.0)
    except UserError as error:
        return str(error)
    return found


def test_a_host_that_fits_is_planned_under_the_users_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(tmp_path, monkeypatch)
    assert isinstance(found, survey.Surveyed)
    assert found.topology == replace(detect(), host="node1")
    assert [file.name for file in tmp_path.iterdir()] == ["token"], "the preflight leaves no file"


def test_hosts_that_do_not_fit_are_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = preflight.versions("torch")
    found = judged(tmp_path, monkeypatch, versions=own | {"horovod": "0.1", "Python": "3.9.1"})
    assert found == (
        f"host node1 has Python 3.9.1 (here {own['Python']}), horovod 0.1 (here {own['horovod']}); "
        "install the same packages on all hosts"
    )
    found = judged(tmp_path, monkeypatch, time=time.time() + 60.0)
    assert str(found).startswith("host node1 has a clock 60 s ahead of this host's; have both set")
    found = judged(tmp_path, monkeypatch, time=time.time() - 3661.0)
    assert str(found).startswith("host node1 has a clock 366")
    assert "behind" in str(found)
    found = judged(tmp_path, monkeypatch, problems=["does not see /data; mount it"])
    assert found == "host node1 does not see /data; mount it"


def test_every_host_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    words = agent(tmp_path, 'echo "no route to $2" >&2; exit 255')
    with pytest.raises(UserError) as caught:
        survey.survey([Host("a"), Host("b")], words, {}, framework="torch", work_dir=tmp_path, seconds=10.0)
    for name in ("a", "b"):
        assert f"host {name} cannot be used: no route to {name}; check that it is up" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_a_specification_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_text("rows")
    spec = {"train": str(tmp_path / "train.parquet"), "out": str(tmp_path / "new"), "deep": [{"x": str(tmp_path)}, 1]}
    assert survey.existing_paths(spec | {"text": "/" * 5000, "name": "train"}) == [tmp_path, tmp_path / "train.parquet"]


def test_a_host_without_memory_for_a_framework_is_named() -> None:
    host = replace(detect(), host="node1")
    ranks = plan([host], DistributedParameters(num_ranks=2))
    enough = survey.Surveyed(Host("node1"), host, GIB)
    survey.check_memory([enough], ranks)
    with pytest.raises(UserError, match=r"host node1 has 0\.5 GiB of memory left for 2 ranks"):
        survey.check_memory([replace(enough, memory=GIB // 2)], ranks)


def two_hosts() -> list[Topology]:
    host = Topology((Cpu(4, 0, 4, 0), Cpu(6, 0, 6, 0)), (4, 6))
    return [replace(host, host="node1"), replace(host, host="node2")]


def test_the_command_of_two_hosts(tmp_path: Path) -> None:
    planned = replace(plan(two_hosts(), DistributedParameters(cores_per_rank=1), [1, 1]), named=True)
    reach = mpirun.Reach(("/usr/bin/ssh", "-q"), "10.0.0.0/8", 60.0, "the-id", ("OMP_NUM_THREADS", "TANDEM_JOB_ID"))
    argv = mpirun.command(planned, "m", Path("/shared/of/job/spec.json"), tmp_path / "rankfile", reach)
    text = " ".join(argv)
    assert "--host node1:1,node2:1" in text
    for setting in (
        "--prtemca plm_ssh_agent",
        "--prtemca prte_if_include 10.0.0.0/8",
        "--mca btl_tcp_if_include 10.0.0.0/8",
        "--mca btl self,sm,tcp",
        "--prtemca tandem_job_id the-id",
        "-x OMP_NUM_THREADS -x TANDEM_JOB_ID",
        "--wdir /shared/of/job",
    ):
        assert setting in text
    assert argv[argv.index("plm_ssh_agent") + 1] == "/usr/bin/ssh -q"
    names = ("oob_tcp_keepalive_time", "oob_tcp_keepalive_intvl", "oob_tcp_keepalive_probes")
    idle, between, questions = (int(argv[argv.index(name) + 1]) for name in names)
    assert 30 <= idle + between * questions <= 60, "a dead connection is found within the stall timeout"
    assert mpirun.rankfile(planned) == "rank 0=node1 slot=0\nrank 1=node2 slot=0\n"


def test_one_rank_on_another_host_is_started_by_mpirun(tmp_path: Path) -> None:
    alone = replace(plan(two_hosts(), DistributedParameters(cores_per_rank=1), [0, 1]), named=True)
    argv = mpirun.command(alone, "m", Path("s"), tmp_path / "rankfile", mpirun.Reach(("ssh",), None, 60.0, "id"))
    assert argv[1:5] == ["-np", "1", "--host", "node2:1"]
    assert "btl_tcp_if_include" not in argv
    assert mpirun.rankfile(alone) == "rank 0=node2 slot=0\n"


def test_what_is_exported_to_other_hosts(tmp_path: Path) -> None:
    planned = replace(plan(two_hosts(), DistributedParameters(cores_per_rank=1, horovod_cpus=(4,)), [1, 1]), named=True)
    own = mpirun.own_variables(planned, module="tandem.training", work_dir=tmp_path, job_id="j", stall_seconds=300)
    assert {"PYTHONPATH", "TANDEM_WORK_DIR", "TANDEM_JOB_ID", "TANDEM_NUM_RANKS", "OMP_NUM_THREADS"} <= own.keys()
    assert not {"TMPDIR", "PATH", "HOME", "HOROVOD_THREAD_AFFINITY"} & own.keys(), "a host's own"


def test_without_horovod_named_hosts_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tandem.distributed.launch import launcher

    monkeypatch.setattr(launcher, "horovod_missing", lambda *_: "Horovod is not installed")
    name = os.uname().nodename
    with pytest.raises(UserError, match=r"distributed\.hosts: to run there needs Horovod and mpirun, but Horovod"):
        launch(
            "scenario_rank",
            {},
            parameters=DistributedParameters(hosts=(name,)),
            framework="torch",
            work_dir=tmp_path,
        )
