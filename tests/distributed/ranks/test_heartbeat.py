"""What counts as work: much less than a busy rank does, much more than one that waits."""

import subprocess
import sys
from pathlib import Path

import pytest

from tandem.distributed.ranks.heartbeat import Work, is_work


@pytest.mark.parametrize(
    ("done", "seconds", "works"),
    [
        (Work(0.0, 0), 0.5, False),
        (Work(0.01, 0), 0.5, False),  # the least that the kernel counts
        (Work(0.02, 0), 0.5, True),
        (Work(0.15, 4_000), 300.0, False),  # a thread that looks into a queue, and a stack printed into the log
        (Work(3.0, 0), 300.0, True),
        (Work(0.0, 100_000), 0.5, True),
        (Work(0.0, 100_000), 300.0, False),
    ],
)
def test_work_is_a_share_of_a_cpu_or_a_stream_of_bytes(done: Work, seconds: float, works: bool) -> None:
    assert is_work({7: Work(5.0, 10**9)}, {7: Work(5.0 + done.cpu_seconds, 10**9 + done.moved_bytes)}, seconds) is works


def test_threads_that_come_and_go_take_nothing_away() -> None:
    before = {7: Work(5.0, 0), 8: Work(9.0, 0)}
    assert is_work(before, {7: Work(5.1, 0), 9: Work(0.1, 0)}, 1.0)
    assert not is_work(before, {7: Work(5.0, 0)}, 1.0)


def beats_of(main: str, folder: Path) -> int:
    """How often a process that does this for two seconds is found to work.

    A process of its own: in this one other tests' threads may be at work.
    """
    ran = subprocess.run(
        [sys.executable, "-c", _PROCESS, main], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    return int(ran.stdout)


_PROCESS = """
import sys, time
from tandem.distributed.ranks import heartbeat

def beat():
    beats.append(None)
    if sys.argv[1] == "find no room":
        raise OSError

heartbeat._PAUSE_SECONDS = 0.1
beats = []
heartbeat.watch(beat)
end = time.monotonic() + 2.0
while time.monotonic() < end:
    if sys.argv[1] in ("compute", "find no room"):
        sum(range(50_000))
    elif sys.argv[1] == "write":
        open("file", "wb").write(bytes(100_000))
        time.sleep(0.1)
    else:
        time.sleep(0.1)
print(len(beats))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux alone tells what a thread does")
@pytest.mark.parametrize(
    ("main", "least", "most"), [("compute", 3, 100), ("write", 3, 100), ("wait", 0, 1), ("find no room", 1, 1)]
)
def test_threads_are_looked_at(tmp_path: Path, main: str, least: int, most: int) -> None:
    assert least <= beats_of(main, tmp_path) <= most
