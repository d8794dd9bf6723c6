"""Following a job's ranks: their events, their silences, and the true cause when it ends badly."""

import logging
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.job import Failure, Job
from tandem.distributed.launch.processes import has_ended, signal_ranks
from tandem.distributed.launch.stall_diagnosis import Verdict, ask
from tandem.distributed.launch.waiting import Waiting
from tandem.distributed.ranks.event_file import EventReader
from tandem.distributed.ranks.events import Connected, Finished, Heartbeat, Message, RankRow, Started, parse
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

_log = logging.getLogger(__name__)
# What is between rank and launcher: all else is the job's own, and goes to whoever asked for it.
_INTERNAL = (Started, Connected, Finished, Heartbeat, Message)
_TRACEBACK_LINES = 30
_KILLED = re.compile(r"rank (\d+) with PID \d+ on node (\S+)[^.]*?exited on\s+signal (\d+)", re.DOTALL)
_KILLED_BY_HYDRA = re.compile(r"RANK (\d+) PID \d+ RUNNING AT (\S+)\s+=\s+KILLED BY SIGNAL: (\d+)")
_ABORTED = re.compile(r"process rank (\d+) with PID \d+ on node \S+ calling\s+\"abort\"")
_LOST_PEER = re.compile(r"unexpectedly disconnected.*?Peer host:\s+(\S+)", re.DOTALL)
_LOST_DAEMON = re.compile(r"daemon failed to report back.*?Remote host:\s+(\S+)", re.DOTALL)
_LOOK_SECONDS = 0.2
_FULL_DISK_BYTES = 1 << 20  # more than the records of all ranks
_OUT_OF_MEMORY = "often: out of memory"
_LOST_HOST = re.compile(r"lost communication with a remote daemon.*?Remote daemon\s*:\s*\S+ on node (\S+)", re.DOTALL)


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
    started: Started | None = None
    connected: bool = False
    finished: bool = False


@dataclass
class Follower:
    """Reads what the ranks of one job report, and judges."""

    job: Job
    bindings: BindingPlan
    parameters: DistributedParameters
    on_event: Callable[[dict[str, Any]], None] | None
    process: "subprocess.Popen[bytes]"
    _begin: float = field(default_factory=time.monotonic, init=False)
    _ranks: list[_RankState] = field(init=False)
    _begun: bool = field(default=False, init=False)
    _ended_first: int | None = field(default=None, init=False)
    _next_look: float = field(default=0.0, init=False)
    _waiting: Waiting = field(default_factory=Waiting, init=False)

    def __post_init__(self) -> None:
        files = (self.job.event_file(rank) for rank in range(len(self.bindings.ranks)))
        self._ranks = [_RankState(EventReader(file), self._begin) for file in files]

    def follow(self) -> None:
        """Take in all events written since the last call."""
        for rank, state in enumerate(self._ranks):
            for event in state.reader.read():
                state.last_event = time.monotonic()
                self._take(rank, state, event)
        self._waiting.tell(sum(state.connected for state in self._ranks), len(self._ranks), begun=self._begun)

    def rows(self) -> list[RankRow]:
        """The binding of each rank as it verified it from inside, in rank order."""
        return [state.started.row for state in self._ranks if state.started is not None]

    def check_time(self) -> None:
        """Raise when a timeout has passed: start, stall or overall."""
        now = time.monotonic()
        waiting = [rank for rank, state in enumerate(self._ranks) if not state.connected]
        if waiting and now - self._begin > self.parameters.start_timeout_seconds:
            raise self._time_out(waiting, "did not start", "start_timeout_seconds")
        latest = max(state.last_event for state in self._ranks)
        if not waiting and now - latest > self._patience():
            raise self._stalled()
        limit = self.parameters.timeout_seconds
        if limit is not None and now - self._begin > limit:
            self._ask()
            raise self._time_out(range(len(self._ranks)), "had not finished", "timeout_seconds")

    def end_when_a_rank_is_gone(self) -> None:
        """Under Intel MPI, have its launcher end the job when a rank ended before its time.

        It would by itself, but only ranks that had come as far as MPI, and by the same signal as the one that is to
        blame; so it is told to leave them alone (``intel_mpi.NO_CLEANUP``).
        """
        now = time.monotonic()
        if self.parameters.mpi != "intelmpi" or self._ended_first is not None or now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        started = [(rank, state.started.pid) for rank, state in enumerate(self._ranks) if state.started]
        ended = [rank for rank, pid in started if not self._ranks[rank].finished and has_ended(pid)]
        if ended:
            self.follow()  # what they said last
        unfinished = (rank for rank in ended if not self._ranks[rank].finished)
        failed = (failure.rank for failure in self.job.failures())  # even before it had said that it started
        self._ended_first = next(chain(unfinished, failed), None)
        if self._ended_first is not None:
            self.process.terminate()

    def _patience(self) -> float:
        """The stall timeout; until the job reports something of its own, imports and data may take the start's time."""
        stall = self.parameters.stall_timeout_seconds
        return stall if self._begun else max(stall, self.parameters.start_timeout_seconds)

    def check_end(self, code: int) -> None:
        """Raise unless every rank finished: the earliest true cause first."""
        failures = self.job.failures()
        if failures:
            raise self._failed(failures[0])
        unfinished = [rank for rank, state in enumerate(self._ranks) if not state.finished]
        if code == 0 and not unfinished:
            return
        raise self._lost(code, unfinished)

    def _take(self, rank: int, state: _RankState, sent: dict[str, Any]) -> None:
        event = parse(sent)
        if isinstance(event, Started):
            state.started = event
        elif isinstance(event, Connected):
            state.connected = True
        elif isinstance(event, Finished):
            state.finished = True
        elif isinstance(event, Message):
            _log.log(logging.WARNING if event.level == "warning" else logging.INFO, "%s", event.message)
            self._waiting.heard()
        if not isinstance(event, _INTERNAL):
            self._begun = True
            self._waiting.heard()
            if self.on_event is not None:
                self.on_event({**sent, "rank": rank})

    def _stalled(self) -> "RankLostError":
        """Name the ranks that the others wait for: gone, behind a dead connection, or busy with something else."""
        verdict = self._ask()
        everybody = range(len(self._ranks))
        for host in dict.fromkeys(map(self._host, verdict.silent)):
            there = {rank for rank in everybody if self._host(rank) == host}
            if there <= set(verdict.silent) < set(everybody) and not self.bindings.here:
                return self._cut_off(host)
        to_blame = verdict.silent or verdict.busy or everybody
        if len(to_blame) == len(everybody) > 1:
            return self._time_out(everybody, "stopped moving together", "stall_timeout_seconds")
        return self._time_out(to_blame, "stopped answering", "stall_timeout_seconds")

    def _ask(self) -> Verdict:
        """Have every rank print where it is."""
        pids = [state.started.pid for state in self._ranks if state.started is not None]
        if len(pids) < len(self._ranks):
            return Verdict()  # one that has not come far enough to print would die of the signal
        logs = {rank: self.job.log_file(rank) for rank in range(len(self._ranks))}
        if self.bindings.here:
            return ask(logs, lambda: signal_ranks(pids, signal.SIGUSR1))
        return ask(logs, lambda: self.process.send_signal(signal.SIGUSR1))  # mpirun passes it on to all hosts

    def _time_out(self, ranks: Sequence[int], what: str, parameter: str) -> "RankLostError":
        seconds = getattr(self.parameters, parameter)
        logs = self.job.log_file(ranks[0]) if len(ranks) == 1 else self.job.log_dir
        return RankLostError(
            f"{self._named(ranks)} {what} within {seconds:g} s (distributed.{parameter}); what it printed last, and "
            f"where it stood if it answered: {logs}",
            rank=ranks[0],
            host=self._host(ranks[0]),
            log=str(self.job.log_file(ranks[0])),
        )

    def _named(self, ranks: Sequence[int]) -> str:
        """``rank 1 on node2``, ``ranks 0 on node1, 1 on node2``."""
        where = ", ".join(f"{rank} on {self._host(rank)}" for rank in ranks)
        return f"rank{'s' * (len(ranks) > 1)} {where}"

    def _host(self, rank: int) -> str:
        """As the rank calls it, or before it has spoken as the plan does."""
        started = self._ranks[rank].started
        return self.bindings.ranks[rank].host if started is None else started.row.host

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
        gone = _LOST_HOST.search(output) or _LOST_DAEMON.search(output)
        if gone is not None:
            return self._cut_off(gone[1])
        killed = _KILLED.search(output) or self._killed_under_hydra(output)
        if killed is not None or code < 0:
            rank = int(killed[1]) if killed else next(iter(unfinished), 0)
            return self._killed(rank, int(killed[3]) if killed else -code)
        aborted = {int(rank) for rank in _ABORTED.findall(output)}
        hosts = set(_LOST_PEER.findall(output))
        vanished = [rank for rank in unfinished if self._host(rank) in hosts and rank not in aborted]
        if vanished:
            return self._gone(vanished)
        free = shutil.disk_usage(self.job.work_dir).free
        if free < _FULL_DISK_BYTES:
            return self._without_room(code, free)
        tail = "\n".join(output.rstrip().splitlines()[-_TRACEBACK_LINES:])
        log = str(self.job.mpirun_log)
        return RankError(f"the ranks ended with code {code}\n{tail}\nlog: {log}", log=log)

    def _without_room(self, code: int, free: int) -> RankError:
        """A rank that fails writes why, unless that is what it fails of."""
        return RankLostError(
            f"the disk of {self.job.work_dir} is full ({free} bytes are left): the ranks ended with code {code}, and "
            "none could write why; make room there, and run again",
            log=str(self.job.log_dir),
        )

    def _killed_under_hydra(self, output: str) -> "re.Match[str] | None":
        """It tells of every rank that a signal ended, those included that it ended itself."""
        told = _KILLED_BY_HYDRA.finditer(output)
        return next((match for match in told if self._ended_first in (None, int(match[1]))), None)

    def _killed(self, rank: int, number: int) -> RankError:
        hint = f" ({_OUT_OF_MEMORY})" if number == signal.SIGKILL else ""
        log = str(self.job.log_file(rank))
        return RankLostError(
            f"{self._named([rank])} was killed by {signal.Signals(number).name}{hint}; log: {log}",
            rank=rank,
            host=self._host(rank),
            log=log,
        )

    def _gone(self, ranks: list[int]) -> RankError:
        """Its peers on other hosts lost their connection to it, and ended before mpirun had heard how it ended."""
        log = str(self.job.log_file(ranks[0]))
        return RankLostError(
            f"{self._named(ranks)} stopped answering: {'its' if len(ranks) == 1 else 'a'} process is gone, killed from "
            f"outside ({_OUT_OF_MEMORY}); log: {log}",
            rank=ranks[0],
            host=self._host(ranks[0]),
            log=log,
        )

    def _cut_off(self, host: str) -> "RankLostError":
        """mpirun found the connection to a host dead, or no rank there answers and others do."""
        ranks = [rank for rank in range(len(self._ranks)) if host in (self._host(rank), self.bindings.ranks[rank].host)]
        who = self._named(ranks) if ranks else f"host {host}"
        log = str(self.job.log_file(ranks[0]) if ranks else self.job.mpirun_log)
        return RankLostError(
            f"{who} stopped answering: the connection to {host} is dead, or the host is down or stopped; bring it "
            f"back, or take it out of distributed.hosts, and resume; log: {log}",
            rank=ranks[0] if ranks else None,
            host=host,
            log=log,
        )
