"""Real ranks under Intel MPI: bound as planned, ended as under Open MPI, and with the same sums to the last bit.

Skipped where there is no Intel MPI (``make setup MPI=intelmpi``; ``make test`` sets it up), but for what needs none.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launches import launching_process, living, pids, scenarios, until

import ncf_jobs
from tandem.distributed import installed
from tandem.distributed.binding.mpi_arguments import Launch, launch_line
from tandem.distributed.binding.planning import plan
from tandem.distributed.launch import mpirun
from tandem.distributed.launch.launcher import LaunchResult, RankError, launch
from tandem.distributed.topology import Cpu, Topology
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

ABSENT = installed.mpirun_missing("intelmpi") or installed.horovod_missing("torch", "intelmpi")
needs_intel_mpi = pytest.mark.skipif(ABSENT is not None, reason=f"{ABSENT}: {installed.INTEL_MPI_SET_UP}")
needs_two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two ranks are bound to a core each")
pytestmark = pytest.mark.usefixtures("nothing_is_left")
CPUS = sorted(os.sched_getaffinity(0))[:2]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., LaunchResult]:
    return scenarios(tmp_path, mpi="intelmpi")


@pytest.mark.slow
@needs_intel_mpi
@needs_two_cores
def test_two_ranks_are_bound_as_planned(run: Callable[..., LaunchResult]) -> None:
    events: list[dict[str, Any]] = []
    first, second = CPUS
    crossed = [str(second), str(first)]  # the other way round than by default
    result = run({}, events.append, num_ranks=2, rank_cpus=crossed, strict=True)
    assert sorted((event["rank"], event["mask"]) for event in events) == [(0, [second]), (1, [first])]
    assert [row["cpus"] for row in result.ranks] == [[second], [first]]
    assert {(row["bound_by"], row["mpi"]) for row in result.ranks} == {("mpirun", "intelmpi")}
    assert (result.log_dir / "mpirun.log").read_text() == "", "mpiexec has nothing to say"


@pytest.mark.slow
@needs_intel_mpi
@needs_two_cores
@pytest.mark.parametrize("strict", [False, True])
def test_a_binding_that_differs_from_the_plan(
    run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, strict: bool
) -> None:
    def other_masks(*arguments: Any) -> Launch:
        said = launch_line(*arguments)
        same = f"[{hex(1 << CPUS[0])},{hex(1 << CPUS[0])}]"
        return replace(said, arguments=tuple(same if word.startswith("[0x") else word for word in said.arguments))

    monkeypatch.setattr(mpirun, "launch_line", other_masks)
    if strict:  # one rank refuses, and the other one would wait for it
        with pytest.raises(UserError, match=r"rank 1 on \S+ was bound to CPUs \d+, the plan says"):
            run({}, num_ranks=2, cores_per_rank=1, strict=True)
        return
    result = run({}, num_ranks=2, cores_per_rank=1)
    assert [row["cpus"] for row in result.ranks] == [[cpu] for cpu in CPUS]
    assert [row["bound_by"] for row in result.ranks] == ["mpirun", "rank"]
    assert "the rank binds itself" in caplog.text


@pytest.mark.slow
@needs_intel_mpi
@needs_two_cores
def test_horovods_thread_has_the_cpu_of_the_plan(run: Callable[..., LaunchResult]) -> None:
    events: list[dict[str, Any]] = []
    first, second = CPUS
    run({}, events.append, num_ranks=2, cores_per_rank=1, horovod_cpus=(second, first), strict=True)
    by_rank = {event["rank"]: event["thread_masks"] for event in events}
    assert [second] in by_rank[0], "only Horovod's thread leaves the rank's core"
    assert [first] in by_rank[1]


@pytest.mark.slow
@needs_intel_mpi
def test_more_ranks_than_cores_run_unbound(run: Callable[..., LaunchResult], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = run({}, num_ranks=len(os.sched_getaffinity(0)) + 1)
    assert {row["bound_by"] for row in result.ranks} == {"nobody"}
    assert {tuple(row["cpus"]) for row in result.ranks} == {tuple(sorted(os.sched_getaffinity(0)))}
    assert "no scaling measurement" in caplog.text


@pytest.mark.slow
@needs_intel_mpi
def test_the_failing_ranks_own_traceback(run: Callable[..., LaunchResult]) -> None:
    with pytest.raises(RankError, match=r"rank 1 on .* failed: ValueError: the true cause") as caught:
        run({"what": "raise", "who": 1}, num_ranks=2)
    assert 'raise ValueError("the true cause")' in str(caught.value)


@pytest.mark.slow
@needs_intel_mpi
@pytest.mark.parametrize("who", [0, 1])
def test_a_killed_rank_is_named(run: Callable[..., LaunchResult], who: int) -> None:
    with pytest.raises(RankError, match=f"rank {who} on .* was killed by SIGKILL") as caught:
        run({"what": "kill itself", "who": who}, num_ranks=2)
    assert caught.value.rank == who
    assert isinstance(caught.value, UserError)


@pytest.mark.slow
@needs_intel_mpi
def test_a_rank_that_leaves_early_is_no_success(run: Callable[..., LaunchResult]) -> None:
    with pytest.raises(RankError, match="the ranks ended with code"):
        run({"what": "leave", "who": 1}, num_ranks=2)


@pytest.mark.slow
@needs_intel_mpi
def test_a_hanging_rank_ends_at_the_stall_timeout(run: Callable[..., LaunchResult], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"rank 1 on .*stall_timeout_seconds"):
        run({"what": "hang", "who": 1}, num_ranks=2, stall_timeout_seconds=2)
    assert "scenario_rank.py" in (tmp_path / "logs/rank-1.log").read_text(), "the log says where it hung"


@pytest.mark.slow
@needs_intel_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_launcher(tmp_path: Path, number: signal.Signals) -> None:
    launching = launching_process(tmp_path, {"what": "hang", "who": 0}, num_ranks=2, mpi="intelmpi")
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in living(tmp_path)}
    assert {"mpiexec.hydra", "hydra_pmi_proxy"} <= names
    launching.send_signal(number)
    assert launching.wait(20) != 0
    until(lambda: living(tmp_path) == [])


@pytest.mark.slow
@needs_intel_mpi
def test_a_rank_killed_from_outside_ends_the_job(tmp_path: Path) -> None:
    launching = launching_process(tmp_path, {"what": "hang", "who": 0}, num_ranks=2, mpi="intelmpi")
    os.kill(pids(tmp_path)[-1], signal.SIGKILL)
    assert launching.wait(20) != 0
    until(lambda: living(tmp_path) == [])


@pytest.mark.slow
@needs_intel_mpi
def test_two_ranks_train_to_the_same_weights_under_either_mpi(tmp_path: Path) -> None:
    weights = {}
    for mpi in ("openmpi", "intelmpi"):
        job = ncf_jobs.write_job(tmp_path / mpi, epochs=2)
        parameters = DistributedParameters(num_ranks=2, mpi=mpi)
        ranks = launch(
            "tandem.models.ncf.rank", job, parameters=parameters, framework="torch", work_dir=tmp_path / "work"
        ).ranks
        assert [row["mpi"] for row in ranks] == [mpi, mpi]
        weights[mpi] = (job.staging / "model" / "model.safetensors").read_bytes()
    assert weights["openmpi"] == weights["intelmpi"]


@pytest.mark.slow
@needs_intel_mpi
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_every_collective(framework: Any, tmp_path: Path) -> None:
    results: dict[str, list[Mapping[str, Any]]] = {}
    for mpi in ("openmpi", "intelmpi"):
        events: list[dict[str, Any]] = []
        launch(
            "collectives_rank",
            {"framework": framework},
            parameters=DistributedParameters(num_ranks=2, mpi=mpi),
            framework=framework,
            work_dir=tmp_path,
            on_event=events.append,
        )
        results[mpi] = sorted(events, key=lambda event: event["rank"])
    assert results["intelmpi"][0]["sum"] == [3.0, 3.0, 3.0]
    assert results["intelmpi"] == results["openmpi"]


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "intel_mpi_folder", lambda: tmp_path / "nowhere")


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize("num_ranks", [2, "auto"])
def test_an_intel_mpi_that_is_not_there_is_an_error_with_its_mend(
    run: Callable[..., LaunchResult], num_ranks: Any
) -> None:
    told = (
        "distributed.mpi: intelmpi cannot be used: there is no Horovod for Intel MPI; mend it: make setup MPI=intelmpi"
    )
    with pytest.raises(UserError, match=told):
        run({}, num_ranks=num_ranks)
    with pytest.raises(UserError, match=r"there is no Intel MPI in .*; install it: make setup MPI=intelmpi"):
        installed.required_mpirun("intelmpi")


@pytest.mark.usefixtures("absent")
def test_one_rank_needs_no_mpi(run: Callable[..., LaunchResult]) -> None:
    assert run({}, num_ranks=1).ranks[0]["mpi"] is None


def test_several_hosts_are_refused() -> None:
    with pytest.raises(ValueError, match="expected no hosts with mpi: intelmpi"):
        DistributedParameters(mpi="intelmpi", hosts=("node1", "node2"))


def test_the_command_of_two_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "intel_mpi_folder", lambda: tmp_path)
    mpiexec = tmp_path / "bin" / "mpiexec.hydra"
    mpiexec.parent.mkdir()
    mpiexec.touch()
    two = plan([Topology((Cpu(4, 0, 4, 0), Cpu(6, 0, 6, 0)), (4, 6))], DistributedParameters(num_ranks=2))
    argv = mpirun.command(two, "m", Path("spec.json"), Path("rankfile"), mpi="intelmpi")
    settings = {"I_MPI_FABRICS": "shm", "I_MPI_THREAD_YIELD": "2", "I_MPI_PIN": "1", "I_MPI_PIN_CELL": "unit"}
    assert argv == [
        *(str(mpiexec), "-disable-auto-cleanup", "-launcher", "fork", "-hosts", "localhost"),
        *(word for name, value in settings.items() for word in ("-genv", name, value)),
        *("-n", "2", "-env", "I_MPI_PIN_DOMAIN", "[0x10,0x40]", sys.executable, "-m", "m", "spec.json"),
    ]
    assert mpirun.rankfile(two, "intelmpi") == ""


def test_the_environment_of_ranks_has_nothing_of_an_outer_job_and_their_horovod_first(tmp_path: Path) -> None:
    one = plan([Topology((Cpu(0, 0, 0, 0), Cpu(1, 0, 1, 0)), (0, 1))], DistributedParameters(num_ranks=2))
    own = mpirun.own_variables(
        one, module="tandem.training", work_dir=tmp_path, job_id="j", stall_seconds=300, mpi="intelmpi"
    )
    outer = {"I_MPI_ROOT": "/another", "I_MPI_PIN_DOMAIN": "node", "PMI_RANK": "3", "HYDRA_BSTRAP_PGID": "0"}
    found = mpirun.environment(own, tmp_path, {**outer, "HOME": "/home/me"})
    assert found["HOME"] == "/home/me"
    assert not set(outer) & set(found)
    assert not any(name.startswith("OMPI_") for name in found)
    first, second, *_ = found["PYTHONPATH"].split(os.pathsep)
    assert first == str(installed.intel_mpi_packages())
    assert (Path(second) / "tandem").is_dir()
