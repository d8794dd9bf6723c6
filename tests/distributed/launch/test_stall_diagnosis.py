"""Who is to blame when no rank reports any more."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launches import until

from tandem.distributed.launch import stall_diagnosis
from tandem.distributed.launch.processes import signal_ranks
from tandem.distributed.launch.stall_diagnosis import Verdict, judge


def test_who_is_to_blame_for_a_silence() -> None:
    waits = '  File "/x/horovod/torch/mpi_ops.py", line 1 in synchronize\n  File "/x/train.py", line 9 in f\n'
    graph = '  File "/x/tensorflow/python/eager/execute.py", line 1 in quick_execute\n'
    sleeps = '  File "/x/train.py", line 7 in f\n  File "/x/horovod/runner.py", line 1 in g\n'
    assert judge([0, 1, 2], {0: waits, 1: sleeps, 2: graph}) == Verdict(busy=(1,))
    assert judge([0, 1], {1: waits}) == Verdict(silent=(0,))
    assert judge([0, 1], {0: waits, 1: graph}) == Verdict()
    assert judge([0, 1], {0: sleeps, 1: sleeps}) == Verdict()
    assert judge([0, 1], {}) == Verdict(silent=(0, 1))


def test_ranks_are_asked_where_they_are_and_only_new_answers_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stall_diagnosis, "_NEXT_ANSWER_SECONDS", 0.2)
    stack = 'Current thread 0x00007f5a (most recent call first):\n  File "/x/train.py", line 7 in f\n\n'
    logs = {rank: tmp_path / f"rank-{rank}.log" for rank in range(3)}
    logs[0].write_text(f"printed\n{stack}")
    logs[1].write_text("printed\n")

    def answer_of_rank_1() -> None:
        with logs[1].open("a") as file:
            file.write(stack)

    assert stall_diagnosis.ask(logs, answer_of_rank_1) == Verdict(silent=(0, 2))


# One process is in one of our collectives, whose extension does not come back from C; the other one works on.
_RANK = """
import faulthandler, signal, sys, types
from tandem.distributed.ranks.horovod import _HorovodRanks

class Ranks(_HorovodRanks):
    allreduce_sum_ = _tensor = None

numbers = {"rank": int, "size": int, "local_rank": int}
sys.modules["extension"] = types.SimpleNamespace(init=int, shutdown=signal.pause, **numbers)
faulthandler.register(signal.SIGUSR1, all_threads=True)
print("ready", file=sys.stderr, flush=True)
if sys.argv[1] == "collective":
    Ranks("extension").close()
else:
    signal.pause()
"""


def test_a_rank_in_one_of_our_collectives_is_known_by_its_stack(tmp_path: Path) -> None:
    """By real stacks of real processes, whatever the file of the collectives is called."""
    logs = {0: tmp_path / "rank-0.log", 1: tmp_path / "rank-1.log"}
    ranks = [_start(what, logs[rank]) for rank, what in enumerate(("collective", "work"))]
    try:
        until(lambda: all("ready" in log.read_text() for log in logs.values()), 60)
        pids = [process.pid for process in ranks]
        until(lambda: all(_sleeps(pid) for pid in pids))
        verdict = stall_diagnosis.ask(logs, lambda: signal_ranks(pids, signal.SIGUSR1))
    finally:
        for process in ranks:
            process.kill()
            process.wait()
    assert verdict == Verdict(busy=(1,))


def _sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("S")


def _start(what: str, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen([sys.executable, "-c", _RANK, what], stderr=output)
