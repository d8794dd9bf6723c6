"""Ctrl-C in the middle of the training of a real run, as a terminal sends it: to the whole process group."""

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from projects import PUBLISHED, Project

MARK = "TANDEM_TEST_RUN"


def processes(mark: str, folder: Path) -> list[str]:
    """Command lines of the living processes that carry the mark in their environment, or name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_text().replace("\0", " ")
            if str(folder) in line or f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(line)
        except OSError:
            continue  # it has ended, or is not ours
    return found


def wait_for(condition: object, text: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, text
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "seen", "running"),
    [("make_ncf_rows", "NCF epoch 1/", ["java", "ncf_rank"]), ("split_movielens", "split_movielens: ", ["java"])],
    ids=["in the training", "in Spark"],
)
def test_an_interrupted_run_leaves_no_process_and_no_half_written_output(
    finished: Project, tmp_path: Path, first: str, seen: str, running: list[str]
) -> None:
    project, mark, log = finished.copy(tmp_path / "project"), uuid.uuid4().hex, tmp_path / "log"
    before = project.content(*PUBLISHED)
    endless = "ncf.epochs=1000000,ncf.early_stopping=null,ncf.refit=false,distributed.num_ranks=2"
    nodes = ["--from-nodes", first, "--params", endless]
    command = [sys.executable, "-m", "tandem", "run", "--env", "test", "--tags", "ncf", *nodes]
    with log.open("w") as output:
        run = subprocess.Popen(
            command,
            cwd=project.folder,
            env=os.environ | {MARK: mark},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            wait_for(lambda: seen in log.read_text() or run.poll() is not None, log.read_text())
            started = processes(mark, project.folder)
            os.killpg(run.pid, signal.SIGINT)
            code = run.wait(timeout=60)
        finally:
            run.kill()
    assert all(any(name in line for line in started) for name in running), started
    text = log.read_text()
    assert code == 130, text
    assert text.splitlines()[-1] == "Interrupted: earlier outputs are as they were."
    assert "Traceback" not in text
    assert "\tat " not in text
    wait_for(lambda: not processes(mark, project.folder), "processes are left", seconds=20)
    assert project.content(*PUBLISHED) == before
    assert not list(project.path("data").rglob(".*.new-*"))


@pytest.mark.slow
def test_an_interrupted_training_goes_on_from_its_checkpoint(finished: Project, tmp_path: Path) -> None:
    """The same weights as without the interruption: the checkpoint of the finished run stands for the interrupted."""
    project = finished.copy(tmp_path / "project")
    done = project.run("--from-nodes", "train_ncf", "--params", "ncf.resume=true,distributed.num_ranks=2")
    assert done.code == 0, done.err
    assert project.content("data/06_models/ncf") == finished.content("data/06_models/ncf")
