"""Starting a job's processes so that none outlives it, and ending them.

Three nets. The kernel ends the first process when the launcher dies (``PR_SET_PDEATHSIG``, also after SIGKILL) and
each rank when mpirun dies (``ranks.parent``). Every process of a job carries the job's id in its environment, by which
it is found whatever session or process group it was put into: Open MPI gives each rank a group of its own.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tandem.distributed.job import JOB_ID, JOB_OPTION

_POLL_SECONDS = 0.02

# Runs in the child before the real program takes its place, so that no code of ours runs between fork and exec of a
# parent with threads (a preexec_fn would). Arguments: parent, CPUs ("" for all), program, its arguments.
_TIED = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() != int(sys.argv[1]):
    sys.exit(143)
if sys.argv[2]:
    os.sched_setaffinity(0, map(int, sys.argv[2].split(",")))
os.execv(sys.argv[3], sys.argv[3:])
"""


def start_tied(
    argv: Sequence[str], environment: dict[str, str], log: Path, cpus: Iterable[int] = ()
) -> "subprocess.Popen[bytes]":
    """Start ``argv`` (the first an absolute path) in a session of its own, ended by SIGTERM when this thread dies.

    Its output goes to ``log``; it has no input; ``cpus`` binds it.
    """
    tied = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), ",".join(map(str, cpus)), *argv]
    with log.open("ab") as output:
        return subprocess.Popen(
            tied,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def pids_of_job(job_id: str) -> list[int]:
    """Living processes on this host that carry the job's id (zombies have no environment left).

    Ranks have it in their environment, mpirun's daemons on other hosts among their arguments.
    """
    mark, option = f"{JOB_ID}={job_id}".encode(), f"\0{JOB_OPTION}\0{job_id}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (folder / "environ").read_bytes().split(b"\0")
            if mark in environment or option in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def end_job(process: "subprocess.Popen[bytes]", job_id: str, grace_seconds: float) -> None:
    """End the whole job: SIGTERM, then after the grace period SIGKILL, and wait until nothing of it lives."""
    if process.poll() is None:
        process.terminate()
    if not _wait_until_gone(process, job_id, grace_seconds):
        _signal_all(job_id, signal.SIGKILL)
        _wait_until_gone(process, job_id, grace_seconds)
    process.wait()


def has_ended(pid: int) -> bool:
    """Whether the process is no more, or waits for its parent to hear of it."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except OSError:
        return True
    return state.startswith(("Z", "X"))


def signal_ranks(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to those of the processes that still live."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _signal_all(job_id: str, number: signal.Signals) -> None:
    signal_ranks(pids_of_job(job_id), number)


def _wait_until_gone(process: "subprocess.Popen[bytes]", job_id: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None or pids_of_job(job_id):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
