"""Real ranks under the real mpirun: placed as planned, and nothing left when it ends badly."""

import importlib.util
import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from launches import launching_argv, launching_process, launching_variables, living, pids, scenarios, until

from tandem.distributed import installed
from tandem.distributed.binding import mpi_arguments
from tandem.distributed.binding.planning import plan
from tandem.distributed.launch import mpirun
from tandem.distributed.launch.launcher import LaunchResult, RankError, launch
from tandem.distributed.topology import Cpu, Topology, detect
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

pytestmark = pytest.mark.usefixtures("nothing_is_left")
ONE_AND_TWO = [1, pytest.param(2, marks=pytest.mark.slow)]
TWO_CORES = len(os.sched_getaffinity(0)) >= 2
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., LaunchResult]:
    return scenarios(tmp_path)


@pytest.fixture
def background(tmp_path: Path) -> Callable[[int, dict[str, Any]], "subprocess.Popen[bytes]"]:
    """A launching process of its own, which a test can interrupt or kill."""
    return lambda num_ranks, spec: launching_process(tmp_path, spec, num_ranks=num_ranks)


def test_one_rank_runs_in_a_child_bound_as_planned(run: Callable[..., LaunchResult], tmp_path: Path) -> None:
    events: list[dict[str, Any]] = []
    result = run({"a": 1}, events.append, num_ranks=1, cores_per_rank=1)
    first = min(os.sched_getaffinity(0))
    (hello,) = events
    assert (hello["rank"], hello["mask"], hello["threads"]) == (0, [first], "1")
    assert result.ranks[0]["cpus"] == [first]
    assert result.ranks[0]["bound_by"] == "launcher"
    columns = ["rank", "host", "cpus", "numa_domains", "threads", "horovod_cpu", "bound_by", "mpi"]
    assert list(result.ranks[0]) == columns
    assert result.ranks[0]["mpi"] is None
    assert (result.log_dir / "rank-0.log").read_text() == "printed by rank 0\n"
    assert json.loads((tmp_path / "spec.json").read_text()) == {"a": 1}


@pytest.mark.slow
@pytest.mark.skipif(not TWO_CORES, reason="two ranks are bound to a core each")
def test_two_ranks_are_bound_as_planned(run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture) -> None:
    events: list[dict[str, Any]] = []
    with caplog.at_level(logging.INFO):
        result = run({}, events.append, num_ranks=2, cores_per_rank=1, strict=True)
    planned = sorted(os.sched_getaffinity(0))[:2]
    assert sorted((event["rank"], event["mask"]) for event in events) == [(0, [planned[0]]), (1, [planned[1]])]
    assert [row["cpus"] for row in result.ranks] == [[planned[0]], [planned[1]]]
    assert {row["bound_by"] for row in result.ranks} == {"mpirun"}
    assert "rank 1 is through" in caplog.text
    assert (result.log_dir / "rank-1.log").read_text() == "printed by rank 1\n"
    assert (result.log_dir / "mpirun.log").read_text() == "", "mpirun has nothing to say"


ALLOCATIONS = {
    "Slurm": {"SLURM_JOB_ID": "7", "SLURM_JOBID": "7", "SLURM_NODELIST": "node7", "SLURM_TASKS_PER_NODE": "1"},
    "PBS": {"PBS_ENVIRONMENT": "PBS_BATCH", "PBS_JOBID": "7", "PBS_NODEFILE": "/no/such/file"},
}


@pytest.mark.slow
@pytest.mark.parametrize("system", ALLOCATIONS)
def test_a_job_on_this_host_asks_no_batch_system_for_others(
    run: Callable[..., LaunchResult], monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    for name, value in ALLOCATIONS[system].items():
        monkeypatch.setenv(name, value)
    assert len(run({}, num_ranks=2, bind=False).ranks) == 2


@pytest.mark.slow
def test_more_ranks_than_cores_run_unbound(run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture) -> None:
    result = run({}, num_ranks=len(os.sched_getaffinity(0)) + 1)
    assert {row["bound_by"] for row in result.ranks} == {"nobody"}
    assert "no scaling measurement" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not TWO_CORES, reason="two ranks are bound to a core each")
@pytest.mark.parametrize("strict", [False, True])
def test_a_binding_that_differs_from_the_plan(
    run: Callable[..., LaunchResult],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    strict: bool,
) -> None:
    monkeypatch.setattr(mpirun, "rankfile", lambda *_: "rank 0=localhost slot=1\nrank 1=localhost slot=0\n")
    if strict:
        with pytest.raises(UserError, match=r"was bound to CPUs \d+, the plan says"):
            run({}, num_ranks=2, cores_per_rank=1, strict=True)
        return
    result = run({}, num_ranks=2, cores_per_rank=1)
    assert [row["cpus"] for row in result.ranks] == [[cpu] for cpu in sorted(os.sched_getaffinity(0))[:2]]
    assert {row["bound_by"] for row in result.ranks} == {"rank"}
    assert "the rank binds itself" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not TWO_CORES, reason="two ranks are bound to a core each")
def test_horovods_thread_has_the_cpu_of_the_plan(run: Callable[..., LaunchResult]) -> None:
    first, second = sorted(os.sched_getaffinity(0))[:2]
    events: list[dict[str, Any]] = []
    crossed = {"num_ranks": 2, "cores_per_rank": 1, "horovod_cpus": (second, first), "strict": True}
    result = run({}, events.append, **crossed)
    assert [row["horovod_cpu"] for row in result.ranks] == [second, first]
    assert [row["cpus"] for row in result.ranks] == [[first], [second]]
    by_rank = {event["rank"]: event["thread_masks"] for event in events}
    assert [second] in by_rank[0], "only Horovod's thread leaves the rank's core"
    assert [first] in by_rank[1]


@pytest.mark.slow
@pytest.mark.skipif(not TWO_CORES, reason="two ranks are bound to a core each")
@pytest.mark.parametrize("strict", [False, True])
def test_a_horovod_thread_elsewhere(
    run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    # Horovod refuses a list that has not one CPU per rank, and its thread then runs where the rank does.
    monkeypatch.setenv("SCENARIO", "another list for Horovod")
    first, second = sorted(os.sched_getaffinity(0))[:2]
    crossed = {"num_ranks": 2, "cores_per_rank": 1, "horovod_cpus": (second, first), "strict": strict}
    if strict:
        with pytest.raises(UserError, match=r"has no thread on CPU \d alone"):
            run({}, **crossed)
        return
    run({}, **crossed)
    assert "alone; it goes on" in caplog.text


@pytest.mark.slow
@pytest.mark.skipif(not TWO_CORES, reason="two ranks are bound to a core each")
def test_a_plan_that_mpirun_cannot_be_told_is_carried_out_by_the_ranks(
    run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCENARIO", "no room in rankfiles")
    monkeypatch.setattr(mpi_arguments, "LONGEST_SLOT_LIST", 0)
    result = run({}, num_ranks=2, cores_per_rank=1, strict=True)
    assert [row["cpus"] for row in result.ranks] == [[cpu] for cpu in sorted(os.sched_getaffinity(0))[:2]]
    assert {row["bound_by"] for row in result.ranks} == {"rank"}
    assert "was bound to" not in caplog.text


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_the_failing_ranks_own_traceback(run: Callable[..., LaunchResult], num_ranks: int) -> None:
    who = num_ranks - 1
    with pytest.raises(RankError) as caught:
        run({"what": "raise", "who": who}, num_ranks=num_ranks)
    text = str(caught.value)
    assert f"rank {who} on {os.uname().nodename} failed: ValueError: the true cause" in text
    assert 'raise ValueError("the true cause")' in text
    assert "shut down" not in text
    assert "ValueError: the true cause" in Path(caught.value.log).read_text()
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize(
    ("num_ranks", "what"), [(1, "raise a user error"), (2, "raise a user error"), (2, "all raise a user error")]
)
def test_a_user_error_crosses_as_one_line(run: Callable[..., LaunchResult], num_ranks: int, what: str) -> None:
    with pytest.raises(UserError) as caught:
        run({"what": what, "who": num_ranks - 1}, num_ranks=num_ranks)
    assert str(caught.value) == "u.data, line 3: five columns; tabs are needed"


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_killed_rank_is_named(run: Callable[..., LaunchResult], num_ranks: int) -> None:
    who = num_ranks - 1
    with pytest.raises(RankError, match=f"rank {who} on .* was killed by SIGKILL") as caught:
        run({"what": "kill itself", "who": who}, num_ranks=num_ranks)
    assert caught.value.rank == who
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_rank_that_leaves_early_is_no_success(run: Callable[..., LaunchResult], num_ranks: int) -> None:
    with pytest.raises(RankError):
        run({"what": "leave", "who": num_ranks - 1}, num_ranks=num_ranks, stall_timeout_seconds=5)


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_hanging_rank_ends_at_the_stall_timeout(
    run: Callable[..., LaunchResult], tmp_path: Path, num_ranks: int
) -> None:
    who = num_ranks - 1
    with pytest.raises(UserError, match="stall_timeout_seconds"):
        run({"what": "hang", "who": who}, num_ranks=num_ranks, stall_timeout_seconds=2)
    assert "scenario_rank.py" in (tmp_path / f"logs/rank-{who}.log").read_text(), "the log says where it hung"


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
@pytest.mark.parametrize("what", ["compute", "write"])
def test_a_rank_that_works_outside_of_collectives_is_no_stall(
    run: Callable[..., LaunchResult], what: str, num_ranks: int
) -> None:
    """The other rank waits for it all the while."""
    run({"what": what, "who": num_ranks - 1}, num_ranks=num_ranks, stall_timeout_seconds=1.5)


def test_overall_timeout(run: Callable[..., LaunchResult]) -> None:
    with pytest.raises(UserError, match=r"within 1\.5 s \(distributed.timeout_seconds\)"):
        run({"what": "hang"}, num_ranks=1, timeout_seconds=1.5)


def test_start_timeout(run: Callable[..., LaunchResult]) -> None:
    with pytest.raises(UserError, match=r"did not start within 0\.01 s"):
        run({}, num_ranks=1, start_timeout_seconds=0.01)


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_rank_outlives_its_launcher(
    background: Callable[[int, dict[str, Any]], "subprocess.Popen[bytes]"],
    tmp_path: Path,
    num_ranks: int,
    number: signal.Signals,
) -> None:
    launching = background(num_ranks, {"what": "hang", "who": 0})
    ranks = pids(tmp_path)
    assert set(ranks) <= set(living(tmp_path))
    launching.send_signal(number)
    assert launching.wait(20) != 0
    until(lambda: living(tmp_path) == [])


@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_rank_killed_from_outside(
    background: Callable[[int, dict[str, Any]], "subprocess.Popen[bytes]"], tmp_path: Path, num_ranks: int
) -> None:
    launching = background(num_ranks, {"what": "hang", "who": 0})
    os.kill(pids(tmp_path)[-1], signal.SIGKILL)
    assert launching.wait(20) != 0
    until(lambda: living(tmp_path) == [])


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="PID 1 needs root and unshare")
@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_launcher_may_be_the_first_process_of_a_container(tmp_path: Path, num_ranks: int) -> None:
    """Its ranks' parent has the number of the process that inherits orphans elsewhere."""
    argv = [*CONTAINER, *launching_argv(tmp_path, {}, num_ranks=num_ranks)]
    done = subprocess.run(argv, env=launching_variables(), check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="a small disk needs root and unshare")
@pytest.mark.parametrize("num_ranks", ONE_AND_TWO)
def test_a_full_disk_is_named_where_no_rank_can_write_why_it_failed(tmp_path: Path, num_ranks: int) -> None:
    work = tmp_path / "work"
    work.mkdir()
    argv = launching_argv(tmp_path, {"what": "fill the disk", "who": num_ranks - 1}, num_ranks=num_ranks)
    small = f"mount -t tmpfs -o size=512k tmpfs {work} && exec {shlex.join([*argv[:-1], str(work)])}"
    argv = ["unshare", "--mount", "sh", "-c", small]
    done = subprocess.run(argv, env=launching_variables(), check=False, capture_output=True, text=True, timeout=120)
    last = done.stderr.strip().splitlines()[-1]
    assert f"the disk of {work} is full" in last
    assert last.endswith("make room there, and run again")


def test_a_rank_whose_launcher_is_gone_does_not_begin(tmp_path: Path) -> None:
    """It ended between the rank's start and the rank's request to be ended with it."""
    variables = launching_variables() | {"TANDEM_WORK_DIR": str(tmp_path), "TANDEM_LAUNCHER": str(os.getppid())}
    argv = [sys.executable, "-m", "scenario_rank", "spec.json"]
    assert subprocess.run(argv, env=variables, check=False).returncode == 143
    assert list(tmp_path.iterdir()) == []


def test_an_import_error_of_the_rank_module_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_rank.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RankError, match="No module named 'no_such_package'"):
        launch(
            "broken_rank",
            {},
            parameters=DistributedParameters(num_ranks=1),
            framework="torch",
            work_dir=tmp_path,
        )


def hide_horovod(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "horovod" else real(name, *rest)
    )


def test_several_ranks_without_horovod_are_an_error(
    run: Callable[..., LaunchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_horovod(monkeypatch)
    with pytest.raises(
        UserError, match="num_ranks: 2 needs Horovod and mpirun, but Horovod is not installed; mend it: make setup"
    ):
        run({}, num_ranks=2)


def test_several_ranks_with_a_horovod_for_another_framework_version_are_an_error(
    run: Callable[..., LaunchResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "read_record", lambda folder: {"torch": "1.0"})
    with pytest.raises(UserError, match=r"but torch is 2\.\S+, Horovod built for 1\.0; mend it: make setup"):
        run({}, num_ranks=2)


def test_auto_without_horovod_is_one_rank_and_said(
    run: Callable[..., LaunchResult], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hide_horovod(monkeypatch)
    assert len(run({}, num_ranks="auto").ranks) == 1
    assert "Horovod is not installed: training in one process" in caplog.text


def test_a_missing_mpirun_is_named(
    run: Callable[..., LaunchResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"there is no mpirun beside .* mend it: make setup"):
        run({}, num_ranks=2)
    assert installed.mpirun_missing() is not None


def test_the_command_of_two_ranks(tmp_path: Path) -> None:
    two = plan([Topology((Cpu(4, 0, 4, 0), Cpu(6, 0, 6, 0)), (4, 6))], DistributedParameters(num_ranks=2))
    assert mpirun.rankfile(two) == "rank 0=localhost slot=0\nrank 1=localhost slot=1\n"
    argv = mpirun.command(two, "tandem.models.ncf.rank", tmp_path / "spec.json", tmp_path / "rankfile")
    assert argv[1:5] == ["-np", "2", "--map-by", f"rankfile:file={tmp_path}/rankfile"]
    assert argv[argv.index("mpi_yield_when_idle") + 1] == "1", "one core is shared with Horovod's thread"
    assert argv[-4:] == [sys.executable, "-m", "tandem.models.ncf.rank", str(tmp_path / "spec.json")]
    one = plan([Topology((Cpu(4, 0, 4, 0),), (4,))], DistributedParameters(num_ranks=1))
    assert mpirun.command(one, "m", Path("s"), Path("r")) == [sys.executable, "-m", "m", "s"]


def test_the_environment_of_ranks_has_nothing_of_an_outer_job(tmp_path: Path) -> None:
    outer = {
        "OMPI_COMM_WORLD_RANK": "3",
        "PMIX_RANK": "3",
        "PRTE_LAUNCHED": "1",
        "HOROVOD_TIMELINE": "/x",
        "HOME": "/home/me",
        "OMP_NUM_THREADS": "64",
    }
    own = mpirun.own_variables(
        plan([detect()], DistributedParameters(num_ranks=1, cores_per_rank=1)),
        module="tandem.training",
        work_dir=tmp_path,
        job_id="j",
        stall_seconds=300,
    )
    found = mpirun.environment(own, tmp_path, outer)
    assert not {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PRTE_LAUNCHED", "HOROVOD_TIMELINE"} & set(found)
    assert found["HOME"] == "/home/me"
    assert found["OMP_NUM_THREADS"] == "1"
    allocation = {"SLURM_JOB_ID": "7", "PBS_NODEFILE": "/x", "LSB_HOSTS": "x", "PE_HOSTFILE": "/x"}
    assert not set(allocation) & set(mpirun.environment(own, tmp_path, allocation))
    elsewhere = mpirun.environment(own | {"TANDEM_SEVERAL_HOSTS": "1"}, tmp_path, allocation)
    assert set(allocation) <= set(elsewhere), "the agent of named hosts may need them"
