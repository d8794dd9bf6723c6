"""Running a module in many ranks, from the node's call to the ranks' last line.

``launch`` writes ``spec.json``, starts the ranks, follows their events, and either returns what they verified or
raises the first failing rank's error. Nothing that it started outlives it, however it ends.
"""

import json
import logging
import shutil
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel

from tandem.distributed import mpirun
from tandem.distributed.binding.planning import plan
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.collectives import horovod_missing
from tandem.distributed.following import Follower, RankError
from tandem.distributed.job import Framework, Job, write_text
from tandem.distributed.processes import end_job, start_tied
from tandem.distributed.topology import Topology, detect
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

__all__ = ["LaunchResult", "RankError", "launch"]

_log = logging.getLogger(__name__)
_GRACE_SECONDS = 5.0
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
) -> LaunchResult:
    """Run ``python -m module spec.json`` in every rank of the plan and wait for all of them.

    Args:
        module: a rank module, which calls ``run_rank``.
        spec: becomes ``work_dir/spec.json``.
        parameters: how many ranks, where, and how long to wait.
        framework: what the ranks import.
        work_dir: scratch for this launch; a ``job`` and a ``logs`` folder in it are replaced.
        on_event: called in this thread with every event that a rank emits (``rank`` is added), in each rank's order.

    Raises:
        UserError: a rank raised one, Horovod or mpirun is missing, cores do not suffice, a timeout passed or a rank
            was killed (these two are ``RankError`` as well).
        RankError: a rank failed; its text has the first failing rank's traceback, host and log.
    """
    started = time.monotonic()
    job = Job(work_dir.resolve())
    bindings = make_plan(detect(), parameters, framework)
    _announce(bindings)
    _prepare(job, spec, bindings, framework, strict=parameters.strict)
    follower = Follower(job, len(bindings.ranks), parameters, on_event)
    # Short, whatever TMPDIR is: Open MPI puts sockets there, whose paths are limited to 108 bytes.
    with tempfile.TemporaryDirectory(prefix="tandem-", dir="/tmp", ignore_cleanup_errors=True) as temporary:
        stall_seconds = parameters.stall_timeout_seconds
        _run(job, bindings, module, follower, stall_seconds=stall_seconds, temporary=Path(temporary))
    return LaunchResult(follower.rows(), job.log_dir, time.monotonic() - started)


def make_plan(topology: Topology, parameters: DistributedParameters, framework: Framework) -> BindingPlan:
    """The binding plan of this host; without Horovod or mpirun one rank, unless more are asked for.

    Raises:
        UserError: more than one rank is asked for, and Horovod or mpirun cannot be used.
    """
    num_ranks = parameters.num_ranks
    reason = None if num_ranks == 1 else horovod_missing(framework) or mpirun.mpirun_missing()
    if reason is not None and num_ranks != "auto":
        raise UserError(
            f"distributed.num_ranks: {num_ranks} needs Horovod and mpirun, but {reason}; mend it: make setup "
            "(or train in one process: num_ranks: 1)"
        )
    if reason is not None:
        _log.warning("%s: training in one process (make setup mends it)", reason)
        parameters = parameters.model_copy(update={"num_ranks": 1})
    return plan([topology], parameters)


def _announce(bindings: BindingPlan) -> None:
    for warning in bindings.warnings:
        _log.warning("%s", warning)
    _log.info("ranks\n%s", bindings.table())


def _prepare(
    job: Job, spec: BaseModel | Mapping[str, Any], bindings: BindingPlan, framework: Framework, *, strict: bool
) -> None:
    for folder in (job.folder, job.log_dir):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    text = spec.model_dump_json(indent=1) if isinstance(spec, BaseModel) else json.dumps(dict(spec), indent=1)
    write_text(job.spec_file, text + "\n")
    job.write_plan(bindings.ranks, framework, strict=strict)


def _run(
    job: Job, bindings: BindingPlan, module: str, follower: Follower, *, stall_seconds: float, temporary: Path
) -> None:
    job_id = uuid.uuid4().hex
    rankfile = temporary / "rankfile"
    rankfile.write_text(mpirun.rankfile(bindings))
    environment = mpirun.environment(
        bindings,
        module=module,
        work_dir=job.work_dir,
        job_id=job_id,
        temporary=temporary,
        stall_seconds=stall_seconds,
    )
    argv = mpirun.command(bindings, module, job.spec_file, rankfile)
    own_cpus = bindings.ranks[0].cpus if len(bindings.ranks) == 1 and bindings.bound else ()
    with _sigterm_unwinds():
        process = start_tied(argv, environment, job.mpirun_log, own_cpus)
        try:
            while process.poll() is None:
                follower.follow()
                follower.check_time()
                time.sleep(_POLL_SECONDS)
            follower.follow()
        finally:
            end_job(process, job_id, _GRACE_SECONDS)
        follower.check_end(process.returncode)


@contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that the job is ended in order; only the main thread can."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def unwind(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
