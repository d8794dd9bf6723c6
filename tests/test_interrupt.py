"""What asks a real run to end, in whatever it is doing: Ctrl-C, a scheduler's SIGTERM, a terminal that hangs up."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

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


def says(text: str) -> Callable[[Project, str, list[str]], bool]:
    return lambda project, log, running: text in log


def writes(project: Project, log: str, running: list[str]) -> bool:
    return bool(list(project.path("data").rglob(".*.new-*")))


def starts_java(project: Project, log: str, running: list[str]) -> bool:
    return any("java" in line for line in running)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "seen", "running", "send", "code", "line"),
    [
        ("make_ncf_rows", says("NCF epoch 1/"), ["java", "ncf.rank"], [SIGINT], 130, "Interrupted"),
        ("split_interactions", says("split_interactions: "), ["java"], [SIGINT], 130, "Interrupted"),
        ("make_ncf_rows", says("NCF epoch 1/"), ["java", "ncf.rank"], [SIGHUP], 129, "Ended by SIGHUP"),
        ("make_ncf_rows", writes, ["java"], [SIGTERM], 143, "Ended by SIGTERM"),
        ("split_interactions", starts_java, ["java"], [SIGTERM, SIGTERM], 143, "Ended by SIGTERM"),
    ],
    ids=["in the training", "in Spark", "hung up in the training", "terminated in a write", "twice as Spark starts"],
)
def test_an_interrupted_run_leaves_no_process_and_no_half_written_output(
    finished: Project,
    tmp_path: Path,
    first: str,
    seen: Callable[[Project, str, list[str]], bool],
    running: list[str],
    send: list[signal.Signals],
    code: int,
    line: str,
) -> None:
    """Ctrl-C goes to the whole process group, as a terminal sends it; others to the run alone, as schedulers do."""
    project, mark, log = finished.copy(tmp_path / "project"), uuid.uuid4().hex, tmp_path / "log"
    before = project.content(*PUBLISHED)
    endless = "ncf.epochs=1000000,ncf.early_stopping=null,ncf.refit=false,distributed.num_ranks=2"
    nodes = ["--from-nodes", first, "--params", endless]
    command = [sys.executable, "-m", "tandem", "run", "--env", "test", "--tags", "ncf", *nodes]

    def now() -> bool:
        return seen(project, log.read_text(), processes(mark, project.folder)) or run.poll() is not None

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
            wait_for(now, log.read_text())
            started = processes(mark, project.folder)
            for number in send:
                (os.killpg if number == SIGINT else os.kill)(run.pid, number)
                time.sleep(0.1)
            ended = run.wait(timeout=60)
        finally:
            run.kill()
    assert all(any(name in line for line in started) for name in running), started
    text = log.read_text()
    assert ended == code, text
    assert text.splitlines()[-1] == f"{line}: earlier outputs are as they were."
    assert "Traceback" not in text
    assert "\tat " not in text
    wait_for(lambda: not processes(mark, project.folder), "processes are left", seconds=20)
    assert project.content(*PUBLISHED) == before
    assert not list(project.path("data").rglob(".*.new-*"))


ENDING = """\
import signal, sys, time
from tandem.cli.one_line import one_line_errors
from tandem.cli.run_command import interruptible
with one_line_errors(), interruptible():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        for _ in range(int(sys.argv[1])):
            signal.raise_signal(signal.SIGTERM)
        print("in order", flush=True)
"""


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [(0, 143, "in order\n"), (1, 143, "in order\n"), (2, -signal.SIGTERM, "")],
    ids=["once", "twice", "three times"],
)
def test_a_second_signal_keeps_the_order_and_a_third_does_not(more: int, code: int, said: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDING, str(more)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, said)
    assert err == ("Ended by SIGTERM: earlier outputs are as they were.\n" if said else "")


def test_what_is_started_under_nohup_does_not_hear_that_the_terminal_is_gone() -> None:
    command = ["nohup", sys.executable, "-c", ENDING, "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(SIGTERM)
    assert process.communicate(timeout=60)[0] == "in order\n"
    assert process.returncode == 143


@pytest.mark.slow
def test_an_interrupted_training_goes_on_from_its_checkpoint(finished: Project, tmp_path: Path) -> None:
    """The same weights as without the interruption: the checkpoint of the finished run stands for the interrupted."""
    project = finished.copy(tmp_path / "project")
    done = project.run("--from-nodes", "train_ncf", "--params", "ncf.resume=true,distributed.num_ranks=2")
    assert done.code == 0, done.err
    assert project.content("data/06_models/ncf") == finished.content("data/06_models/ncf")
