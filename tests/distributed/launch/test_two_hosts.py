"""Jobs across two hosts: the results of one host, faults that are named and leave nothing, hosts that do not fit."""

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from launches import pids
from two_hosts import NAMES, NETWORK, TwoHosts, why_not

import ncf_jobs
import wnd_jobs
from tandem.distributed.launch import processes
from tandem.distributed.launch.launcher import LaunchResult, RankError, launch
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

SETTINGS: dict[str, Any] = {"hosts": [f"{name}:1" for name in NAMES], "network": NETWORK, "start_timeout_seconds": 300}
ONE_HOST: dict[str, Any] = {"num_ranks": 2, "bind": False}
NCF: dict[str, Any] = {"epochs": 24, "early_stopping": {"metric": "ndcg@10", "patience": 1000}}
STALL = 5.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoHosts]:
    hosts = TwoHosts(tmp_path_factory.mktemp("hosts"))
    try:
        hosts.start()
        yield hosts
    finally:
        hosts.stop()
    assert not any(Path(f"/proc/{process.pid}").exists() for process in hosts.held)


@pytest.fixture
def hosts(machine: TwoHosts, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoHosts]:
    """The hosts, whose processes a launcher elsewhere cannot see; after the test nothing lives on them."""
    own = Path("/proc/self/ns/pid").readlink()
    everywhere = processes.pids_of_job

    def here(job_id: str) -> list[int]:
        return [pid for pid in everywhere(job_id) if Path(f"/proc/{pid}/ns/pid").readlink() == own]

    monkeypatch.setattr(processes, "pids_of_job", here)
    with machine.entered():
        yield machine
    assert machine.living() == []


@pytest.fixture
def run(hosts: TwoHosts, tmp_path: Path) -> Callable[..., LaunchResult]:
    def start(job: Any, module: str = "tandem.models.ncf.rank", **others: Any) -> LaunchResult:
        framework: Any = others.pop("framework", "torch")
        on_event = others.pop("on_event", None)
        settings = DistributedParameters(**(SETTINGS | {"launch_agent": str(hosts.agent)} | others))
        work = tmp_path / "work"
        return launch(module, job, parameters=settings, framework=framework, work_dir=work, on_event=on_event)

    return start


def results(job: Any) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The weights as they were written, and what each epoch ended with, but for the times."""
    weights = {file.name: file.read_bytes() for file in (job.staging / "model").glob("*.safetensors")}
    records = json.loads((job.staging / "history.json").read_text())
    return weights, [{key: value for key, value in record.items() if "second" not in key} for record in records]


def slow(job: Any) -> dict[str, Any]:
    """The same with steps that last until it is hurt."""
    return {"job": job.model_dump(mode="json"), "what": "nothing yet"}


def once(event: str, epoch: int, then: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """Do something in the middle of the epoch after this one."""
    done: list[dict[str, Any]] = []

    def on_event(found: dict[str, Any]) -> None:
        if found["event"] == event and found["epoch"] >= epoch and not done:
            done.append(found)
            then()

    return on_event


def test_faults_in_mid_epoch_are_named_and_the_resumed_job_ends_as_one_that_was_never_hurt(
    hosts: TwoHosts, run: Callable[..., LaunchResult], tmp_path: Path
) -> None:
    whole, alone = (ncf_jobs.write_job(tmp_path / name, **NCF) for name in ("whole", "alone"))
    ranks = run(whole).ranks
    assert [(row["rank"], row["host"], row["bound_by"]) for row in ranks] == [(0, "h1", "mpirun"), (1, "h2", "mpirun")]
    launch(
        "tandem.models.ncf.rank",
        alone,
        parameters=DistributedParameters(**ONE_HOST),
        framework="torch",
        work_dir=tmp_path / "work",
    )
    assert results(whole) == results(alone), "TCP changes nothing"

    hurt = ncf_jobs.write_job(tmp_path / "hurt", **NCF)
    resumed = ncf_jobs.write_job(tmp_path / "hurt", **NCF | {"resume": True})
    cut = []

    def cut_the_link() -> None:
        cut.append(time.monotonic())
        hosts.link(1, "down")

    try:
        with pytest.raises(RankError, match="rank 0 on h1 stopped answering") as caught:
            run(slow(hurt), "fault_rank", stall_timeout_seconds=STALL, on_event=once("epoch", 3, cut_the_link))
        seconds = time.monotonic() - cut[0]
        hosts.wait_until_nobody_lives(STALL + 5.0)  # without a connection over which anybody could end it
    finally:
        hosts.link(1, "up")
    assert isinstance(caught.value, UserError)
    assert Path(caught.value.log).name == "rank-0.log"
    assert seconds < STALL + 10.0, "the stall timeout, the ranks' time to answer, the grace period of mpirun"

    def kill_rank_1() -> None:
        hosts.on(hosts.inits()[1], "kill", "-KILL", str(pids(tmp_path / "work")[1]))

    with pytest.raises(RankError, match=r"rank 1 on h2 (was killed by SIGKILL|stopped answering: its process is gone)"):
        run(slow(resumed), "fault_rank", on_event=once("epoch", 10, kill_rank_1))
    assert hosts.living() == []
    run(resumed)
    assert results(resumed) == results(whole)


def test_wide_and_deep_ends_as_on_one_host(run: Callable[..., LaunchResult], tmp_path: Path) -> None:
    across, alone = (wnd_jobs.write_job(tmp_path / name) for name in ("across", "alone"))
    run(across, "tandem.models.click.keras_rank", framework="tensorflow")
    launch(
        "tandem.models.click.keras_rank",
        alone,
        parameters=DistributedParameters(**ONE_HOST),
        framework="tensorflow",
        work_dir=tmp_path / "work",
    )
    assert (across.staging / "model").is_dir()
    assert results(across)[1] == results(alone)[1]


def test_a_hanging_rank_is_told_from_those_that_wait_for_it(run: Callable[..., LaunchResult], tmp_path: Path) -> None:
    with pytest.raises(RankError, match="rank 1 on h2 stopped answering") as caught:
        run({"what": "hang", "who": 1}, "scenario_rank", stall_timeout_seconds=2)
    assert "scenario_rank.py" in Path(caught.value.log).read_text()


def test_no_rank_on_another_host_outlives_a_killed_launcher(hosts: TwoHosts, tmp_path: Path) -> None:
    script = tmp_path / "launching.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "from tandem.distributed.launch.launcher import launch\n"
        "from tandem.parameters import DistributedParameters\n"
        "launch('scenario_rank', {'what': 'hang'}, framework='torch', work_dir=Path(sys.argv[2]),\n"
        "       parameters=DistributedParameters(**json.loads(sys.argv[1])))\n"
    )
    argv = [sys.executable, str(script), json.dumps(SETTINGS | {"launch_agent": str(hosts.agent)}), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    launching = subprocess.Popen(argv, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60.0
        while len(pids(tmp_path)) < 2:
            assert time.monotonic() < deadline
            assert launching.poll() is None
            time.sleep(0.05)
        assert hosts.living() != []
    finally:
        launching.send_signal(signal.SIGKILL)
        launching.wait()
    hosts.wait_until_nobody_lives(10.0)


def test_a_host_that_cannot_be_reached_is_named_before_anything_starts(
    hosts: TwoHosts, run: Callable[..., LaunchResult]
) -> None:
    hosts.link(2, "down")
    try:
        with pytest.raises(UserError) as caught:
            run({}, "scenario_rank")
    finally:
        hosts.link(2, "up")
    said = f"ssh: connect to host {NAMES[1]} port 22: No route to host"
    assert str(caught.value).startswith(f"host {NAMES[1]} cannot be used: {said}; check that it is up")
    with pytest.raises(UserError, match=r"^host nowhere cannot be used: ssh: Could not resolve hostname nowhere"):
        run({}, "scenario_rank", hosts=[NAMES[0], "nowhere"])


def test_a_host_that_does_not_fit_is_named(hosts: TwoHosts, run: Callable[..., LaunchResult], tmp_path: Path) -> None:
    second = hosts.inits()[1]
    other = tmp_path / "METADATA"
    (metadata,) = [file for file in importlib.metadata.files("torch") or () if file.name == "METADATA"]
    place = Path(str(metadata.locate()))
    other.write_text(place.read_text().replace("\nVersion: 2.", "\nVersion: 1.", 1))
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.parquet").write_text("rows")
    spec = {"train": str(data / "train.parquet")}
    for source, target, found in (
        (other, place, rf"^host {NAMES[1]} has torch 1\.\S+ \(here 2\.\S+\); install the same packages on all hosts$"),
        ("tmpfs", data, rf"^host {NAMES[1]} does not see {data}/train.parquet; put the data on storage that all"),
        ("tmpfs", tmp_path, rf"^host {NAMES[1]} does not see the work folder {tmp_path}/work; put the project's data"),
    ):
        options = ["-t", "tmpfs"] if source == "tmpfs" else ["--bind"]
        hosts.on(second, "mount", *options, str(source), str(target))
        try:
            with pytest.raises(UserError, match=found):
                run(spec, "scenario_rank")
        finally:
            hosts.on(second, "umount", str(target))
    assert not (tmp_path / "work/job").exists(), "no rank was started"
