"""The lock of a folder: one holder, named to the other; gone with its process, and with nothing else."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tandem.errors import UserError
from tandem.storage.run_lock import FILE_NAME, RunLock

HOLDER = """\
import os, subprocess, sys, time
from pathlib import Path
from tandem.storage.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.take()
child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
forked = os.fork()
if not forked:
    time.sleep(60)
    os._exit(0)
print(child.pid, forked, flush=True)
time.sleep(60)
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    first, second = RunLock(tmp_path / "data"), RunLock(tmp_path / "data")
    first.take()
    with pytest.raises(UserError) as refused:
        second.take()
    text = str(refused.value)
    assert text.startswith(f"another run is at work in {tmp_path / 'data'}: process {os.getpid()} on ")
    assert f"on {os.uname().nodename} since {time.strftime('%Y-')}" in text
    assert "pytest" in text
    assert "\n" not in text
    RunLock(tmp_path / "elsewhere").take()
    first.release()
    second.take()


def test_a_killed_holder_lets_go_though_its_children_live(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    children = [int(pid) for pid in holder.stdout.readline().split()]
    try:
        with pytest.raises(UserError, match=f"process {holder.pid} on"):
            RunLock(tmp_path).take()
        holder.kill()
        holder.wait()
        assert all(Path(f"/proc/{pid}").exists() for pid in children)
        RunLock(tmp_path).take()
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        holder.stdout.close()


def test_what_a_killed_holder_said_of_itself_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"pid": 1, "host": "gone", "since": "yesterday", "command": "kedro run"}')
    lock = RunLock(tmp_path)
    lock.take()
    assert str(os.getpid()) in (tmp_path / FILE_NAME).read_text()
    lock.release()
    assert (tmp_path / FILE_NAME).read_text() == ""


def test_a_holder_that_has_not_said_yet_who_it_is(tmp_path: Path) -> None:
    with (tmp_path / FILE_NAME).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="a process that does not say who it is"):
            RunLock(tmp_path).take()


def test_without_locks_on_the_file_system_it_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No file system at hand is without them: the call that would fail there does so here."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    RunLock(tmp_path).take()
    assert caplog.messages == [
        f"{tmp_path} cannot be locked (its file system knows no locks): see to it that no other run works there"
    ]
