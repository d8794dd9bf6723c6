"""Writing beside the target and swapping in: nothing official is ever half-written.

The old content is moved aside, the new one renamed into place, the old one removed; on any error, Ctrl-C included,
the old content is back where it was and the temporary is gone. (Spark's own overwrite deletes first, and a rename onto
a folder that is not empty fails.)
"""

import errno
import os
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tandem.errors import UserError

# What keeps a user from writing. Any other OSError is a fault of ours and keeps its traceback.
CANNOT_WRITE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENAMETOOLONG,
        errno.EBUSY,
    }
)


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; without an error it then takes the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``target`` is as it was.
    """
    staging = _sibling(target, "new")
    with explaining_writes(target):
        _make_parent(target)
        staging.mkdir()
        try:
            yield staging
            swap_into_place(staging, target)
        finally:
            _remove(staging)


@contextmanager
def staged_file(target: Path) -> Iterator[Path]:
    """Yield the name of a file beside ``target``; without an error it then takes the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``target`` is as it was.
    """
    staging = _sibling(target, "new")
    with explaining_writes(target):
        _make_parent(target)
        try:
            yield staging
            staging.replace(target)
        finally:
            _remove(staging)


def move_into_place(source: Path, target: Path) -> None:
    """Let the folder ``source``, from any file system, take the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``source`` and ``target`` are as they were.
    """
    with explaining_writes(target):
        _make_parent(target)
        if source.stat().st_dev == target.parent.stat().st_dev:
            swap_into_place(source, target)
            return
    with staged_folder(target) as staging:
        shutil.copytree(source, staging, dirs_exist_ok=True)
    _remove(source)


def swap_into_place(staging: Path, target: Path) -> None:
    """Rename ``staging`` to ``target`` on the same file system; what stood there is put back on error, else removed."""
    aside = _sibling(target, "old")
    with _interrupt_deferred():
        try:
            if os.path.lexists(target):
                target.rename(aside)
            staging.rename(target)
        except BaseException:
            if os.path.lexists(aside) and not os.path.lexists(target):
                aside.rename(target)
            raise
        _remove(aside)


def _make_parent(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # a file system that makes no folders, as /proc
        raise UserError(f"cannot write {target}: no folder can be made in {error.filename}; choose another") from error


def _sibling(target: Path, role: str) -> Path:
    """A fresh hidden name beside ``target``: same file system, and skipped by Spark where it lists the parent."""
    return target.parent / f".{target.name}.{role}-{uuid.uuid4().hex[:8]}"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def explaining_writes(target: Path) -> Iterator[None]:
    """Turn what keeps a user from writing to ``target`` into a UserError; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        raise UserError(
            f"cannot write {target}: {error.strerror}{where}; make the place writable or choose another one"
        ) from error


@contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Hold a Ctrl-C back for the few renames of a swap; only Python's main thread ever receives one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if received:
        signal.raise_signal(signal.SIGINT)
