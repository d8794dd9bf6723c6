"""Following a job's ranks: their events, their silences, and the true cause when it ends badly."""

import logging
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tandem.distributed.job import EventReader, Failure, Job
from tandem.distributed.processes import signal_ranks
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

_log = logging.getLogger(__name__)
_INTERNAL = frozenset({"started", "connected", "finished", "heartbeat", "message"})
_TRACEBACK_LINES = 30
_STACK_DUMP_SECONDS = 0.3
_KILLED = re.compile(r"rank (\d+) with PID \d+ on node (\S+)[^.]*?exited on\s+signal (\d+)", re.DOTALL)


class RankError(Exception):
    """A rank failed: ``rank`` and ``host`` where known, ``log`` with all that it printed."""

    def __init__(self, message: str, *, rank: int | None = None, host: str | None = None, log: str = "") -> None:
        super().__init__(message)
        self.rank = rank
        self.host = host
        self.log = log


class RankLostError(RankError, UserError):
    """A rank was killed or stopped answering: nothing to read in a traceback of ours."""


@dataclass
class _RankState:
    reader: EventReader
    last_event: float
    started: dict[str, Any] | None = None
    connected: bool = False
    finished: bool = False


@dataclass
class Follower:
    """Reads what the ranks of one job report, and judges."""

    job: Job
    num_ranks: int
    parameters: DistributedParameters
    on_event: Callable[[dict[str, Any]], None] | None
    _begin: float = field(default_factory=time.monotonic, init=False)
    _ranks: list[_RankState] = field(init=False)

    def __post_init__(self) -> None:
        files = (self.job.event_file(rank) for rank in range(self.num_ranks))
        self._ranks = [_RankState(EventReader(file), self._begin) for file in files]

    def follow(self) -> None:
        """Take in all events written since the last call."""
        for rank, state in enumerate(self._ranks):
            for event in state.reader.read():
                state.last_event = time.monotonic()
                self._take(rank, state, event)

    def rows(self) -> list[dict[str, Any]]:
        """The binding of each rank as it verified it from inside, in rank order."""
        return [state.started["row"] for state in self._ranks if state.started is not None]

    def check_time(self) -> None:
        """Raise when a timeout has passed: start, stall or overall."""
        now = time.monotonic()
        waiting = [rank for rank, state in enumerate(self._ranks) if not state.connected]
        if waiting and now - self._begin > self.parameters.start_timeout_seconds:
            self._time_out(waiting, "did not start", "start_timeout_seconds")
        latest = max(state.last_event for state in self._ranks)
        if not waiting and now - latest > self.parameters.stall_timeout_seconds:
            quiet = min(range(self.num_ranks), key=lambda rank: self._ranks[rank].last_event)
            self._time_out([quiet], "stopped answering", "stall_timeout_seconds")
        limit = self.parameters.timeout_seconds
        if limit is not None and now - self._begin > limit:
            self._time_out([0], "had not finished", "timeout_seconds")

    def check_end(self, code: int) -> None:
        """Raise unless every rank finished: the earliest true cause first."""
        failures = self.job.failures()
        if failures:
            raise self._failed(failures[0])
        unfinished = [rank for rank, state in enumerate(self._ranks) if not state.finished]
        if code == 0 and not unfinished:
            return
        raise self._lost(code, unfinished)

    def _take(self, rank: int, state: _RankState, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "started":
            state.started = event
        elif kind == "connected":
            state.connected = True
        elif kind == "finished":
            state.finished = True
        elif kind == "message":
            level = logging.WARNING if event["level"] == "warning" else logging.INFO
            _log.log(level, "%s", event["message"])
        if kind not in _INTERNAL and self.on_event is not None:
            self.on_event({**event, "rank": rank})

    def _time_out(self, ranks: list[int], what: str, parameter: str) -> None:
        """Have every rank print where it is, then give up."""
        pids = [state.started["pid"] for state in self._ranks if state.started is not None]
        signal_ranks(pids, signal.SIGUSR1)
        time.sleep(_STACK_DUMP_SECONDS)
        who = ", ".join(map(str, ranks))
        seconds = getattr(self.parameters, parameter)
        raise RankLostError(
            f"rank {who} {what} within {seconds:g} s (distributed.{parameter}); where each rank was stands at the end "
            f"of its log in {self.job.log_dir}",
            rank=ranks[0],
            log=str(self.job.log_file(ranks[0])),
        )

    def _failed(self, failure: Failure) -> Exception:
        if failure.user_error:
            return UserError(failure.error)
        log = str(self.job.log_file(failure.rank))
        lines = failure.traceback.rstrip().splitlines()[-_TRACEBACK_LINES:]
        text = "\n".join(lines)
        return RankError(
            f"rank {failure.rank} on {failure.host} failed: {failure.error}\n{text}\nlog: {log}",
            rank=failure.rank,
            host=failure.host,
            log=log,
        )

    def _lost(self, code: int, unfinished: list[int]) -> RankError:
        """No rank left a record: killed, or ended before it could write one."""
        output = self.job.mpirun_log.read_text(errors="replace")
        killed = _KILLED.search(output)
        number = int(killed[3]) if killed else -code
        rank = int(killed[1]) if killed else next(iter(unfinished), 0)
        if not killed and code >= 0:
            tail = "\n".join(output.rstrip().splitlines()[-_TRACEBACK_LINES:])
            log = str(self.job.mpirun_log)
            return RankError(f"the ranks ended with code {code}\n{tail}\nlog: {log}", log=log)
        host = killed[2] if killed else "this host"
        hint = " (often: out of memory)" if number == signal.SIGKILL else ""
        log = str(self.job.log_file(rank))
        name = signal.Signals(number).name
        return RankLostError(
            f"rank {rank} on {host} was killed by {name}{hint}; log: {log}", rank=rank, host=host, log=log
        )
