"""A rank's own side: from its entry module to its last line.

```
from tandem.distributed.collectives import Communicator
from tandem.distributed.rank import emit, run_rank

def main(spec: dict[str, Any], ranks: Communicator) -> None:
    import torch                      # frameworks only in here: output is redirected and threads are set by now
    ...
    emit({"event": "epoch", "loss": 0.3})

if __name__ == "__main__":
    run_rank(main, "torch")
```
"""

import errno
import faulthandler
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tandem.distributed import signs_of_life
from tandem.distributed.binding.expression import binds_itself
from tandem.distributed.binding.table import BindingPlan, RankBinding
from tandem.distributed.collectives import Communicator, connect
from tandem.distributed.job import (
    LAUNCHER,
    SEVERAL_HOSTS,
    WORK_DIR,
    Failure,
    Framework,
    Job,
    mpi_of_environment,
    rank_of_environment,
    started_by_mpi,
    write_json,
)
from tandem.distributed.mpirun import WORDS, rank_environment
from tandem.distributed.processes import die_with_parent
from tandem.distributed.topology import detect, format_cpu_list
from tandem.errors import UserError
from tandem.imports import import_tensorflow
from tandem.storage.writes import unfit_place

_HEARTBEAT_SECONDS = 1.0
_state: dict[str, Any] = {"file": None, "beat": 0.0}


def run_rank(main: Callable[[dict[str, Any], Communicator], None], framework: Framework) -> None:
    """Run ``main(spec, communicator)`` as one rank of the launcher's job, and end the process.

    Reads the spec named on the command line. A failure is recorded with its traceback for the launcher, and ends this
    process at once with a non-zero code, on which mpirun ends the peers. Interpreter shutdown is skipped: ``main``
    closes what it opens.
    """
    launcher = os.environ.get(LAUNCHER)
    die_with_parent(int(launcher) if launcher else None)
    job = Job(Path(os.environ[WORK_DIR]))
    rank, _ = rank_of_environment()
    _redirect_output(job.log_file(rank))
    _set_signals()
    _open_events(job.event_file(rank))
    try:
        bindings, mpi, strict = job.read_plan()
        planned = bindings[rank]
        os.environ.update(rank_environment(planned, bindings))
        alone = binds_itself(BindingPlan(tuple(bindings)), WORDS[mpi])
        _report(planned, _agree(planned, strict=strict, alone=alone))
        if framework == "tensorflow":
            import_tensorflow()
        ranks = connect(framework)
        _check_horovod_cpu(planned, strict=strict)
        emit({"event": "connected"})
        signs_of_life.watch(heartbeat)
        main(json.loads(Path(sys.argv[1]).read_text()), ranks)
        ranks.close()
        emit({"event": "finished"})
        code = 0
    except BaseException as error:
        code = 1
        with suppress(Exception):  # a disk without room takes no record: the launcher looks at the disk
            _record_failure(job, rank, error)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End this process, whatever can still be written: an exit of the usual kind would wait for the other ranks."""
    for flush in (logging.shutdown, sys.stdout.flush, sys.stderr.flush):
        with suppress(Exception):
            flush()
    os._exit(code)


def emit(event: Mapping[str, Any]) -> None:
    """Send one JSON-able event to the launcher; without a launcher (unit tests) it goes nowhere."""
    file = _state["file"]
    if file is not None:
        _state["beat"] = time.monotonic()
        line = json.dumps(dict(event)).encode() + b"\n"
        if file.write(line) < len(line):  # the last room there was; the rest would be refused
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)


def say(message: str, *, warning: bool = False) -> None:
    """Have the launcher log a line for the user."""
    emit({"event": "message", "level": "warning" if warning else "info", "message": message})


def heartbeat() -> None:
    """Tell the launcher that this rank is alive and moving; cheap enough for every step (at most one a second)."""
    if time.monotonic() - _state["beat"] > _HEARTBEAT_SECONDS:
        emit({"event": "heartbeat"})


def _redirect_output(log: Path) -> None:
    """Everything printed from here on, by Python or by C libraries, goes to the rank's own file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _through(), 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _through() -> int:
    """Several hosts: what is written reaches the shared storage at once, where the launcher reads it."""
    return os.O_DSYNC if SEVERAL_HOSTS in os.environ else 0


def _set_signals() -> None:
    """SIGTERM ends a rank at once (nothing of a rank is an official output); SIGUSR1 prints where it is."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the launcher's to handle
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)


def _open_events(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _through()
    _state["file"] = os.fdopen(os.open(path, flags, 0o644), "ab", buffering=0)


def _report(planned: RankBinding, bound_by: str) -> None:
    """Tell the launcher where this rank is in fact, before any framework is imported."""
    cpus = sorted(os.sched_getaffinity(0))
    row = {
        "rank": planned.rank,
        "host": socket.gethostname(),
        "cpus": cpus,
        "numa_domains": sorted({cpu.numa for cpu in detect().cpus if cpu.id in cpus}),
        "threads": planned.threads,
        "horovod_cpu": planned.horovod_cpu,
        "bound_by": bound_by,
        "mpi": mpi_of_environment(),
    }
    emit({"event": "started", "pid": os.getpid(), "row": row})


def _agree(planned: RankBinding, *, strict: bool, alone: bool) -> str:
    """Check, and where needed mend, this rank's CPU mask.

    Returns who bound it: "mpirun", "launcher", "rank" or "nobody". ``alone``: mpirun could not be told the plan.
    """
    if not planned.bound:
        return "nobody"
    fact = tuple(sorted(os.sched_getaffinity(0)))
    if fact == planned.cpus:
        return "mpirun" if started_by_mpi() else "launcher"
    if not alone:
        found = f"was bound to CPUs {format_cpu_list(fact)}, the plan says {format_cpu_list(planned.cpus)}"
        _differs(planned, found, strict=strict, otherwise="the rank binds itself")
    for thread in Path("/proc/self/task").iterdir():  # a BLAS imported so far has threads already
        os.sched_setaffinity(int(thread.name), planned.cpus)
    return "rank"


def _check_horovod_cpu(planned: RankBinding, *, strict: bool) -> None:
    """Check that a thread of this rank, which can only be Horovod's own, has the planned CPU to itself."""
    if planned.horovod_cpu is None or not started_by_mpi():
        return
    masks = [os.sched_getaffinity(int(thread.name)) for thread in Path("/proc/self/task").iterdir()]
    if {planned.horovod_cpu} not in masks:
        _differs(planned, f"has no thread on CPU {planned.horovod_cpu} alone", strict=strict, otherwise="it goes on")


def _differs(planned: RankBinding, found: str, *, strict: bool, otherwise: str) -> None:
    found = f"rank {planned.rank} on {socket.gethostname()} {found}"
    if strict:
        raise UserError(f"{found}; see `make doctor`, or set distributed.strict: false, with which {otherwise}")
    say(f"{found}; {otherwise}", warning=True)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused, in Python's, PyTorch's or TensorFlow's words (the kernel kills without a word)."""
    told = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return told or isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _record_failure(job: Job, rank: int, error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    with suppress(OSError):  # the record, of a few blocks, may still find room
        sys.stderr.write(text)
    unfit = None if isinstance(error, UserError) else unfit_place(error)
    if unfit is not None:
        error = UserError(f"rank {rank} on {socket.gethostname()}: {unfit}; log: {job.log_file(rank)}")
    elif out_of_memory(error):
        error = UserError(
            f"rank {rank} on {socket.gethostname()} ran out of memory; give its host fewer ranks, or train with a "
            f"smaller batch or model; log: {job.log_file(rank)}"
        )
    failure = Failure(
        rank=rank,
        host=socket.gethostname(),
        time=time.time(),
        error=str(error) if isinstance(error, UserError) else "".join(traceback.format_exception_only(error)).strip(),
        traceback=text,
        user_error=isinstance(error, UserError),
        lost_peer=type(error).__name__ == "HorovodInternalError",
    )
    write_json(job.failure_file(rank), failure.__dict__)
