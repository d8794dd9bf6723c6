"""A rank module that does what its spec says: the faults of real jobs, on demand."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tandem.distributed.binding import mpi_arguments
from tandem.distributed.ranks import rank
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.event_file import heartbeat
from tandem.distributed.ranks.rank import emit, run_rank, say
from tandem.errors import UserError


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    print(f"printed by rank {ranks.rank}")
    masks = [sorted(os.sched_getaffinity(int(thread.name))) for thread in Path("/proc/self/task").iterdir()]
    mask, threads = sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"]
    emit({"event": "hello", "mask": mask, "threads": threads, "thread_masks": masks})
    ranks.barrier()
    if ranks.rank == spec.get("who", 0):
        act(spec.get("what"))
    if spec.get("what") == "all raise a user error":
        raise UserError("u.data, line 3: five columns; tabs are needed")
    for _ in range(spec.get("barriers", 1)):
        ranks.barrier()
        heartbeat()
    say(f"rank {ranks.rank} is through")


def act(what: str | None) -> None:
    if what == "raise":
        raise ValueError("the true cause")
    if what == "raise a user error":
        raise UserError("u.data, line 3: five columns; tabs are needed")
    if what == "hang":
        time.sleep(3600)
    if what == "kill itself":
        os.kill(os.getpid(), signal.SIGKILL)
    if what in ("compute", "write"):
        work_for_long(what, seconds=4.0)
    if what == "fill the disk":
        with suppress(OSError), Path(os.environ["TANDEM_WORK_DIR"], "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        say("what fits into no page that is there already" * 1000)
    if what == "leave":
        os._exit(0)


def work_for_long(what: str, seconds: float) -> None:
    """Without a collective and without a word, as one who writes a model; a slow disk leaves the CPU idle."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what == "compute":
            sum(range(100_000))
        else:
            Path(os.environ["TANDEM_WORK_DIR"], "written").write_bytes(bytes(100_000))
            time.sleep(0.3)


def break_what_the_scenario_says() -> None:
    if os.environ.get("SCENARIO") == "another list for Horovod":
        rank.thread_variables = lambda planned, ranks: {"HOROVOD_THREAD_AFFINITY": "0"}
    if os.environ.get("SCENARIO") == "no room in rankfiles":
        mpi_arguments.LONGEST_SLOT_LIST = 0


if __name__ == "__main__":
    break_what_the_scenario_says()
    run_rank(main, "torch")
