"""Who is to blame when no rank reports any more: each is asked where it is, by a signal on which it prints its stack.

A rank that prints none is gone, stopped, or behind a dead connection. Of those that do, the ones inside a collective
wait for the others.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.distributed.ranks import horovod

_POLL_SECONDS = 0.05
_FIRST_ANSWER_SECONDS = 10.0
_NEXT_ANSWER_SECONDS = 3.0
_STACK = re.compile(r"^Current thread 0x\w+[^\n]*:\n((?:  File [^\n]*\n)+)", re.MULTILINE)
# As a stack names our collectives' file, on whatever host and below whatever folder the package lies there.
_OUR_COLLECTIVES = "/" + horovod.__name__.replace(".", "/") + ".py"
# Where Python stands while a collective waits: Horovod's own modules, ours above it, TensorFlow's call of a graph.
_COLLECTIVE = re.compile(rf"/horovod/|{re.escape(_OUR_COLLECTIVES)}|/tensorflow/python/eager/execute\.py")


@dataclass(frozen=True)
class Verdict:
    """silent: ranks that did not answer; busy: ranks that others wait for. Both empty: all wait, or all are busy."""

    silent: tuple[int, ...] = ()
    busy: tuple[int, ...] = ()


def ask(logs: Mapping[int, Path], ask_all: Callable[[], None]) -> Verdict:
    """Have all ranks print where they are, into their logs, and judge by what they print.

    The first may take its time, as on a busy machine; the others have a little more from then on.
    """
    before = {rank: _size(log) for rank, log in logs.items()}
    ask_all()
    deadline = time.monotonic() + _FIRST_ANSWER_SECONDS
    stacks: dict[int, str] = {}
    while len(stacks) < len(logs) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        answered = len(stacks)
        stacks = {rank: stack for rank, log in logs.items() if (stack := _stack(log, before[rank]))}
        if len(stacks) > answered:
            deadline = time.monotonic() + _NEXT_ANSWER_SECONDS
    return judge(sorted(logs), stacks)


def judge(ranks: Sequence[int], stacks: Mapping[int, str]) -> Verdict:
    """Judge by the stacks of the ranks that answered, the innermost call first."""
    silent = tuple(rank for rank in ranks if rank not in stacks)
    busy = tuple(rank for rank in stacks if not _COLLECTIVE.search(stacks[rank].partition("\n")[0]))
    return Verdict(silent, busy if len(busy) < len(stacks) else ())


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _stack(log: Path, after: int) -> str | None:
    try:
        with log.open("rb") as file:
            file.seek(after)
            match = _STACK.search(file.read().decode(errors="replace"))
    except FileNotFoundError:
        return None
    return match[1] if match else None
