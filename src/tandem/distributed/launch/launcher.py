"""Running a module in many ranks, from the node's call to the ranks' last line.

``launch`` writes ``spec.json``, starts the ranks, follows their events, and either returns what they verified or
raises the first failing rank's error. Nothing that it started outlives it, however it ends.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from tandem.distributed.binding.planning import plan
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.installed import horovod_missing, mpirun_missing, set_up
from tandem.distributed.job import LAUNCHER, Framework, Job, write_text
from tandem.distributed.launch import mpirun
from tandem.distributed.launch.follower import Follower, RankError
from tandem.distributed.launch.hosts import Host, find_agent, hosts_of, ranks_per_host
from tandem.distributed.launch.processes import end_job, start_tied
from tandem.distributed.launch.remote_kill import end_on_hosts
from tandem.distributed.launch.shared_memory import check_room, room
from tandem.distributed.launch.sharing import Sharing, check_number, shared_by
from tandem.distributed.launch.survey import Surveyed, check_memory, survey
from tandem.distributed.launch.temporary import launch_folder
from tandem.distributed.topology import Topology, detect
from tandem.errors import UserError
from tandem.parameters import DistributedParameters
from tandem.storage.filesystems import storage_variables
from tandem.storage.signals import ENDING

__all__ = ["LaunchResult", "RankError", "launch"]

_log = logging.getLogger(__name__)
_GRACE_SECONDS = 5.0
_ELSEWHERE_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class LaunchResult:
    """What ran: one row per rank, as the rank itself verified it (the content of ``ranks.json``)."""

    ranks: list[dict[str, Any]]
    log_dir: Path
    seconds: float


def launch(
    module: str,
    spec: BaseModel | Mapping[str, Any],
    *,
    parameters: DistributedParameters,
    framework: Framework,
    work_dir: Path,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    sharing: Sharing | None = None,
) -> LaunchResult:
    """Run ``python -m module spec.json`` in every rank of the plan and wait for all of them.

    Args:
        module: a rank module, which calls ``run_rank``.
        spec: becomes ``work_dir/spec.json``.
        parameters: how many ranks, where, and how long to wait.
        framework: what the ranks import.
        work_dir: scratch for this launch; a ``job`` and a ``logs`` folder in it are replaced.
        on_event: called in this thread with every event that a rank emits (``rank`` is added), in each rank's order.
        sharing: how many ranks can share the work: ``num_ranks: auto`` is lowered to that, a given number is refused.

    Raises:
        UserError: the ranks asked for cannot share the work, a rank raised one, Horovod or mpirun is missing, cores do
            not suffice, a timeout passed or a rank was killed (these two are ``RankError`` as well).
        RankError: a rank failed; its text has the first failing rank's traceback, host and log.
    """
    started = time.monotonic()
    job = Job(work_dir.resolve())
    with _signals_unwind():
        rows = _launched(module, spec, parameters, framework, job, on_event, sharing)
    return LaunchResult(rows, job.log_dir, time.monotonic() - started)


def _launched(
    module: str,
    spec: BaseModel | Mapping[str, Any],
    parameters: DistributedParameters,
    framework: Framework,
    job: Job,
    on_event: Callable[[dict[str, Any]], None] | None,
    sharing: Sharing | None,
) -> list[dict[str, Any]]:
    """What the ranks verified of their bindings."""
    if sharing is not None:
        check_number(sharing, parameters)
    hosts = hosts_of(parameters)
    agent = find_agent(parameters) if hosts else []
    surveyed = survey_hosts(hosts, agent, spec, parameters, framework, job.work_dir) if hosts else []
    topologies = [one.topology for one in surveyed] or [detect()]
    bindings = make_plan(topologies, parameters, framework, hosts)
    if sharing is not None and (most := shared_by(sharing, len(bindings.ranks))) < len(bindings.ranks):
        bindings = make_plan(topologies, parameters.model_copy(update={"num_ranks": most}), framework, hosts)
    check_memory(surveyed, bindings)
    if bindings.here:
        check_room("", room(), len(bindings.ranks), parameters.mpi)
    _announce(bindings)
    _prepare(job, spec, bindings, framework, parameters)
    with launch_folder() as temporary:
        run = _Run(job, bindings, module, parameters, hosts, agent, temporary)
        return run.to_the_end(on_event)


def survey_hosts(
    hosts: Sequence[Host],
    agent: Sequence[str],
    spec: BaseModel | Mapping[str, Any],
    parameters: DistributedParameters,
    framework: Framework,
    work_dir: Path,
) -> list[Surveyed]:
    """The preflight of a job on named hosts; see ``survey``."""
    _log.info("looking at hosts %s", ", ".join(host.name for host in hosts))
    seconds = parameters.start_timeout_seconds
    return survey(hosts, agent, spec, framework=framework, work_dir=work_dir, seconds=seconds)


def make_plan(
    topologies: Sequence[Topology],
    parameters: DistributedParameters,
    framework: Framework,
    hosts: Sequence[Host] = (),
) -> BindingPlan:
    """The binding plan; on this host, without Horovod or mpirun, one rank, unless more are asked for.

    Raises:
        UserError: more than one rank or another host is asked for, and Horovod or mpirun cannot be used.
    """
    num_ranks, mpi = parameters.num_ranks, parameters.mpi
    alone = num_ranks == 1 and not hosts
    reason = None if alone else horovod_missing(framework, mpi) or mpirun_missing(mpi)
    if reason is not None and mpi == "intelmpi":
        raise UserError(f"distributed.mpi: intelmpi cannot be used: {reason}; mend it: {set_up(mpi)} (or mpi: openmpi)")
    if reason is not None and (hosts or num_ranks != "auto"):
        asked = f"num_ranks: {num_ranks}" if not hosts else "hosts: to run there"
        raise UserError(
            f"distributed.{asked} needs Horovod and mpirun, but {reason}; mend it: make setup "
            "(or train in one process: num_ranks: 1)"
        )
    if reason is not None:
        _log.warning("%s: training in one process (make setup mends it)", reason)
        parameters = parameters.model_copy(update={"num_ranks": 1})
    planned = plan(topologies, parameters, ranks_per_host(hosts, parameters))
    return replace(planned, named=bool(hosts))


def _announce(bindings: BindingPlan) -> None:
    for warning in bindings.warnings:
        _log.warning("%s", warning)
    _log.info("ranks\n%s", bindings.table())


def _prepare(
    job: Job,
    spec: BaseModel | Mapping[str, Any],
    bindings: BindingPlan,
    framework: Framework,
    parameters: DistributedParameters,
) -> None:
    for folder in (job.folder, job.log_dir):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    text = spec.model_dump_json(indent=1) if isinstance(spec, BaseModel) else json.dumps(dict(spec), indent=1)
    write_text(job.spec_file, text + "\n")
    job.write_plan(bindings.ranks, framework, mpi=parameters.mpi, strict=parameters.strict)


@dataclass(frozen=True)
class _Run:
    """One start of the ranks."""

    job: Job
    bindings: BindingPlan
    module: str
    parameters: DistributedParameters
    hosts: Sequence[Host]
    agent: Sequence[str]
    temporary: Path
    job_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def to_the_end(self, on_event: Callable[[dict[str, Any]], None] | None) -> list[dict[str, Any]]:
        """Start the ranks, follow them, and leave nothing of them; what they verified of their bindings."""
        process = self._start()
        follower = Follower(self.job, self.bindings, self.parameters, on_event, process)
        over = False
        try:
            while process.poll() is None:
                follower.follow()
                follower.end_when_a_rank_is_gone()
                follower.check_time()
                time.sleep(_POLL_SECONDS)
            follower.follow()
            follower.check_end(process.returncode)
            over = True
        finally:
            end_job(process, self.job_id, _GRACE_SECONDS)
            if not over:
                self._end_elsewhere()
        return [row.to_json() for row in follower.rows()]

    def _start(self) -> "subprocess.Popen[bytes]":
        rankfile = self.temporary / "rankfile"
        mpi, stall_seconds = self.parameters.mpi, self.parameters.stall_timeout_seconds
        rankfile.write_text(mpirun.rankfile(self.bindings, mpi))
        own = mpirun.own_variables(
            self.bindings,
            module=self.module,
            work_dir=self.job.work_dir,
            job_id=self.job_id,
            stall_seconds=stall_seconds,
            mpi=mpi,
        )
        exported = (*own, *storage_variables())
        reach = mpirun.Reach(self.agent, self.parameters.network, stall_seconds, self.job_id, exported)
        where = reach if self.bindings.named else None
        argv = mpirun.command(self.bindings, self.module, self.job.spec_file, rankfile, where, mpi)
        alone = mpirun.without_mpi(self.bindings)
        variables = mpirun.environment(own | ({LAUNCHER: str(os.getpid())} if alone else {}), self.temporary)
        own_cpus = self.bindings.ranks[0].cpus if alone and self.bindings.bound else ()
        return start_tied(argv, variables, self.job.mpirun_log, own_cpus)

    def _end_elsewhere(self) -> None:
        for name in end_on_hosts(self.hosts, self.agent, self.job_id, _ELSEWHERE_SECONDS):
            _log.warning(
                "host %s does not answer when asked to end what the job has there: that ends by itself, within %g s of "
                "the loss of its connection",
                name,
                self.parameters.stall_timeout_seconds,
            )


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into an exception, so that the job is ended in order; only the main thread can.

    A run command has handlers of its own, which are left alone.
    """
    here = threading.current_thread() is threading.main_thread()
    ending = [number for number in ENDING if here and signal.getsignal(number) == signal.SIG_DFL]

    def unwind(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in ending:
        signal.signal(number, unwind)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)
