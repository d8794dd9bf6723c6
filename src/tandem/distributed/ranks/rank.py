"""A rank's own side: from its entry module to its last line.

```
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Epoch
from tandem.distributed.ranks.rank import emit, run_rank

def main(spec: dict[str, Any], ranks: Communicator) -> None:
    import torch                      # frameworks only in here: output is redirected and threads are set by now
    ...
    emit(Epoch(...))                  # of ranks.events, or a mapping of the module's own with the key "event"

if __name__ == "__main__":
    run_rank(main, "torch")
```
"""

import faulthandler
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from tandem.distributed.binding.mpi_arguments import VERSIONS, binds_itself
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.binding.thread_variables import thread_variables
from tandem.distributed.job import LAUNCHER, SEVERAL_HOSTS, WORK_DIR, Framework, Job, rank_of_environment
from tandem.distributed.ranks import heartbeat, verification
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.connection import connect
from tandem.distributed.ranks.event_file import OF_THIS_PROCESS, emit, say
from tandem.distributed.ranks.events import Connected, Finished, Started
from tandem.distributed.ranks.failure import record_failure
from tandem.distributed.ranks.parent import die_with_parent
from tandem.imports import import_tensorflow

__all__ = ["emit", "run_rank", "say"]


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
    OF_THIS_PROCESS.open(job.event_file(rank), _through())
    try:
        bindings, mpi, strict = job.read_plan()
        planned = bindings[rank]
        os.environ.update(thread_variables(planned, bindings))
        alone = binds_itself(BindingPlan(tuple(bindings)), VERSIONS[mpi])
        bound_by = verification.verify_mask(planned, strict=strict, alone=alone)
        emit(Started(os.getpid(), verification.row_of(planned, bound_by)))
        if framework == "tensorflow":
            import_tensorflow()
        ranks = connect(framework)
        verification.check_horovod_cpu(planned, strict=strict)
        emit(Connected())
        heartbeat.watch(OF_THIS_PROCESS.beat)
        main(json.loads(Path(sys.argv[1]).read_text()), ranks)
        ranks.close()
        emit(Finished())
        code = 0
    except BaseException as error:
        code = 1
        with suppress(Exception):  # a disk without room takes no record: the launcher looks at the disk
            record_failure(job, rank, error)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End this process, whatever can still be written: an exit of the usual kind would wait for the other ranks."""
    for flush in (logging.shutdown, sys.stdout.flush, sys.stderr.flush):
        with suppress(Exception):
            flush()
    os._exit(code)


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
