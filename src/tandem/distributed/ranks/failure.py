"""Why a rank failed, as a record for its launcher."""

import socket
import sys
import time
import traceback
from contextlib import suppress

from tandem.distributed.job import Failure, Job, write_json
from tandem.errors import UserError
from tandem.storage.writes import unfit_place


def out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused, in Python's, PyTorch's or TensorFlow's words (the kernel kills without a word)."""
    told = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return told or isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def record_failure(job: Job, rank: int, error: BaseException) -> None:
    """Print the traceback, and write the rank's failure record for the launcher; raises what keeps it from that."""
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
