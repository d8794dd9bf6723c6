"""What tells a rank that works from one that hangs, where it calls no collective for long: reads, writes, scores rows.

One that works uses a CPU or moves bytes. One that hangs, as one that waits for others, does neither in the threads that
Python started; those of MPI and Horovod never rest, and are not looked at. Work without end is no stall: that is for
``distributed.timeout_seconds``.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tandem.distributed.topology.files import read

_PAUSE_SECONDS = 0.5
# A thread that looks into an empty queue ten times a second takes a twentieth of this share of a CPU.
_LEAST_CPU_SHARE = 0.01
_LEAST_CPU_SECONDS = 0.015  # more than one of the hundredths by which the kernel counts
_LEAST_BYTES_PER_SECOND = 1 << 14
_TICKS = os.sysconf("SC_CLK_TCK")


class Work(NamedTuple):
    """What a thread has done so far: seconds on a CPU; bytes that it had the kernel read and write."""

    cpu_seconds: float
    moved_bytes: int


def watch(beat: Callable[[], None]) -> None:
    """From now on call ``beat`` about twice a second while this process works; OSError ends that."""
    threading.Thread(target=_watch, args=(beat,), daemon=True, name="signs of life").start()


def _watch(beat: Callable[[], None]) -> None:
    before, since = _work_of_threads(), time.monotonic()
    while True:
        time.sleep(_PAUSE_SECONDS)
        now = _work_of_threads()
        if is_work(before, now, time.monotonic() - since):
            try:
                beat()
            except OSError:  # no room for events: the rank itself will meet that, and say it
                return
            before, since = now, time.monotonic()


def is_work(before: dict[int, Work], now: dict[int, Work], seconds: float) -> bool:
    """Whether threads, by number, did as much in these seconds as only those do that work."""
    nothing = Work(0.0, 0)
    pairs = [(before.get(thread, nothing), done) for thread, done in now.items()]
    cpu_seconds = sum(done.cpu_seconds - was.cpu_seconds for was, done in pairs)
    moved_bytes = sum(done.moved_bytes - was.moved_bytes for was, done in pairs)
    enough = max(_LEAST_CPU_SECONDS, _LEAST_CPU_SHARE * seconds)
    return cpu_seconds >= enough or moved_bytes >= _LEAST_BYTES_PER_SECOND * seconds


def _work_of_threads() -> dict[int, Work]:
    """Of all threads that Python knows but this one."""
    threads = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
    found = {thread: _work_of(Path(f"/proc/self/task/{thread}")) for thread in threads if thread is not None}
    return {thread: work for thread, work in found.items() if work is not None}


def _work_of(folder: Path) -> Work | None:
    """None where the thread has ended."""
    stat = read(folder / "stat")
    if stat is None:
        return None
    ticks = stat.rpartition(") ")[2].split()[11:13]  # in user mode, in the kernel
    counts = dict(line.split(": ") for line in (read(folder / "io") or "").splitlines())
    return Work(sum(map(int, ticks)) / _TICKS, sum(int(counts.get(name, 0)) for name in ("rchar", "wchar")))
