"""Two runs of one project, as two people or a scheduler start them: the second ends at once, and changes nothing."""

import os
import subprocess
import sys
import time

import pytest

from projects import Project
from tandem.storage.run_lock import RunLock

RUN = [sys.executable, "-m", "tandem", "run", "--env", "test", "--tags", "ncf"]
SESSION = """\
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
with KedroSession.create(env="test") as session:
    session.run(pipeline_names=["ncf_training"])
"""


def command(project: Project, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        words, cwd=project.folder, env=os.environ, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.slow
def test_a_second_run_ends_at_once_in_one_line_that_names_the_first(project: Project) -> None:
    lock = RunLock(project.path("data"))
    lock.take()
    project.path("data/06_models").mkdir()
    before = project.content("data")
    started = time.monotonic()
    second = command(project, *RUN, "--params", "seed=2")
    took = time.monotonic() - started
    assert second.returncode == 1, second.stderr
    assert second.stdout == ""
    assert second.stderr.splitlines() == [second.stderr.strip()]
    assert second.stderr.startswith(
        f"Error: another run is at work in {project.path('data')}: process {os.getpid()} on {os.uname().nodename} since"
    )
    assert "java" not in second.stderr.lower()
    assert took < 60
    assert project.content("data") == before
    lock.release()


@pytest.mark.slow
def test_a_session_of_a_notebook_meets_a_run_too(project: Project) -> None:
    lock = RunLock(project.path("data"))
    lock.take()
    met = command(project, sys.executable, "-c", SESSION)
    assert met.returncode != 0
    assert f"another run is at work in {project.path('data')}: process {os.getpid()}" in met.stderr.splitlines()[-1]
    lock.release()
    alone = command(project, sys.executable, "-c", SESSION)
    assert "does not exist; make it first" in alone.stderr  # it came as far as its first input


def test_what_only_looks_at_a_project_needs_no_lock(project: Project) -> None:
    lock = RunLock(project.path("data"))
    lock.take()
    for words in (["--dry-run"], ["--runner", "tandem.dry_run.DryRunner"]):
        looked = project.run(*words)
        assert looked.code == 0, looked.err
        assert "mpirun" in looked.out or "ncf.rank" in looked.out
    refused = project.run("--from-nodes", "train_ncf")
    assert "another run is at work" in refused.error
    lock.release()


def test_a_run_gives_the_lock_back_however_it_ends(project: Project) -> None:
    for _ in range(2):
        assert "does not exist; make it first" in project.run("--from-nodes", "train_ncf").error
        lock = RunLock(project.path("data"))
        lock.take()
        lock.release()


def test_what_a_killed_run_left_goes_with_the_next_run_but_not_with_one_that_is_refused(project: Project) -> None:
    half, moved = project.path("data/05/.a.parquet.new-0123abcd"), project.path("data/06/.model.old-0123abcd")
    for left in (half, moved):
        left.mkdir(parents=True)
        (left / "part").write_text("content")
    lock = RunLock(project.path("data"))
    lock.take()
    assert "another run is at work" in project.run("--from-nodes", "train_ncf").error
    assert half.exists()
    lock.release()
    assert "does not exist; make it first" in project.run("--from-nodes", "train_ncf").error
    assert not half.exists()
    assert project.path("data/06/model/part").read_text() == "content"
