"""What keeps a user from writing a file, in one line: the place, the system's word for it, and what to do."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tandem.errors import UserError

_MAKE_ROOM = "make room there, or choose another place"
_ADVICE = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another place",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the system has too many open files: end what else runs, or raise fs.file-max",
    errno.EIO: "the device fails: look at the kernel's log, or choose another place",
    errno.ESTALE: "mount the storage again",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EBUSY: "what is mounted there cannot be replaced: mount the folder above it, or choose another place",
}
_OTHERWISE = "make the place writable or choose another one"
# Of a place that is full or fails: whoever meets these, and of whatever file, no fault of ours is behind it.
UNFIT = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EMFILE,
        errno.ENFILE,
        errno.EIO,
        errno.ESTALE,
        errno.EROFS,
    }
)
# What keeps a user from writing. Any other OSError is a fault of ours and keeps its traceback.
CANNOT_WRITE = UNFIT | {
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EBUSY,
}
# Libraries that are not Python's own (safetensors, TensorFlow) pass on the number or the words alone.
_NUMBER = re.compile(r"\(os error (\d+)\)")


def cannot_write(target: Path | str, number: int, where: str = "") -> str:
    """The line. number: the system's; where: the very file, unless it is ``target`` itself."""
    beside = f" ({where})" if where and where != str(target) else ""
    return f"cannot write {target}: {os.strerror(number)}{beside}; {_ADVICE.get(number, _OTHERWISE)}"


@contextmanager
def explaining_writes(target: Path) -> Iterator[None]:
    """Turn what keeps a user from writing to ``target`` into a UserError; other errors pass."""
    try:
        yield
    except OSError as error:
        # Arrow's words for it are longer than the system's.
        if error.errno not in CANNOT_WRITE:
            raise
        raise UserError(cannot_write(target, error.errno, str(error.filename or ""))) from error


def unfit_place(error: BaseException) -> str | None:
    """The line for an error that tells of a full or failing place by itself, wherever it was met; else None."""
    number = error.errno if isinstance(error, OSError) else _told_number(str(error))
    if number is None or number not in UNFIT:
        return None
    filename = getattr(error, "filename", None)
    if filename:
        return cannot_write(filename, number)
    return f"a file cannot be written: {os.strerror(number)}; {_ADVICE.get(number, _OTHERWISE)}"


def _told_number(text: str) -> int | None:
    found = _NUMBER.search(text)
    if found is not None:
        return int(found[1])
    return next((number for number in UNFIT if os.strerror(number) in text), None)
