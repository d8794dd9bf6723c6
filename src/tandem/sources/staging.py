"""Writing beside the target and swapping in: nothing official is ever half-written.

The old content is moved aside, the new one renamed into place, the old one removed; on any error, Ctrl-C included,
the old content is back where it was and the temporary is gone. (Spark's own overwrite deletes first, and a rename onto
a folder that is not empty fails.) What a killed process left is settled by the next write
(:mod:`tandem.storage.siblings`).

A target that is a link, or below one, is written where the link leads. Where the file system refuses to rename a folder
(one that is in a lower layer of a container's image, or on another device), it is copied.
"""

import errno
import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tandem.errors import UserError
from tandem.storage.siblings import held, new_file, new_folder, recover, remove, sibling, sweep
from tandem.storage.signals import heeded
from tandem.storage.writes import CANNOT_WRITE, explaining_writes

__all__ = [
    "CANNOT_WRITE",
    "explaining_writes",
    "move_into_place",
    "staged_file",
    "staged_folder",
    "swap_into_place",
    "sweep",
]

logger = logging.getLogger(__name__)

# What could not be renamed so far: to say it once is enough.
_copied: list[Path] = []


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; without an error it then takes the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``target`` is as it was.
    """
    with explaining_writes(target):
        place = _place_of_folder(target)
        with new_folder(place) as staging:
            try:
                yield staging
                swap_into_place(staging, place)
            finally:
                remove(staging)


@contextmanager
def staged_file(target: Path) -> Iterator[Path]:
    """Yield the name of an empty file beside ``target``; without an error it then takes the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``target`` is as it was.
    """
    with explaining_writes(target):
        place = _place(target)
        with new_file(place) as staging:
            try:
                yield staging
                staging.replace(place)
            finally:
                remove(staging)


def move_into_place(source: Path, target: Path) -> None:
    """Let the folder ``source``, from any file system, take the place of ``target``.

    Raises:
        UserError: the place cannot be written; ``source`` and ``target`` are as they were.
    """
    with explaining_writes(target):
        place = _place_of_folder(target)
        try:
            swap_into_place(source, place)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    with staged_folder(target) as staging:
        _copy_into(source, staging)
    remove(source)


def swap_into_place(staging: Path, target: Path) -> None:
    """Rename ``staging`` to ``target`` on the same file system; what stood there is put back on error, else removed.

    Raises OSError, with ``EXDEV`` where ``staging`` is on another device; all is then as it was.
    """
    with _interrupt_deferred(), held(target):
        aside = sibling(target, "old")
        try:
            if os.path.lexists(target):
                target.rename(aside)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            aside = _swap_by_copy(staging, target)
        else:
            try:
                staging.rename(target)
            except BaseException:
                if os.path.lexists(aside):
                    aside.rename(target)
                raise
        remove(aside)


def _swap_by_copy(staging: Path, target: Path) -> Path:
    """The same where ``target`` cannot be renamed; returns where what stood there is now."""
    _say_copied(target)
    with new_folder(target) as copy:
        _copy_into(target, copy)
        kept = copy.rename(sibling(target, "kept"))
        try:
            shutil.rmtree(target)
            staging.rename(target)
        except BaseException:
            remove(target)
            kept.rename(target)
            raise
        # Whoever finds this name does not put it back.
        return kept.rename(sibling(target, "old"))


def _say_copied(target: Path) -> None:
    if not _copied:
        logger.warning(
            "%s cannot be renamed and is copied instead, as it is part of a container's image; keep data/ on a volume",
            target,
        )
    _copied.append(target)


def _copy_into(source: Path, target: Path) -> None:
    """Copy what is in a folder. (shutil.copytree gathers its errors, and loses the system's number of each.)"""
    for entry in source.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            (target / entry.name).mkdir()
            _copy_into(entry, target / entry.name)
        else:
            shutil.copy2(entry, target / entry.name, follow_symlinks=False)
    shutil.copystat(source, target)


def _place_of_folder(target: Path) -> Path:
    place = _place(target)
    if place.exists() and not place.is_dir():
        raise UserError(
            f"cannot write {target}: {place} is a file where a folder belongs; move it away, or choose another place"
        )
    return place


def _place(target: Path) -> Path:
    """Where the links in its path lead: the folder above is there, and free of what killed processes left of it."""
    for above in (target, *target.parents):
        if above.is_symlink() and not above.exists():
            raise UserError(
                f"cannot write {target}: {above} is a link to {above.readlink()}, which is not there; make that, or "
                "remove the link"
            )
    place = Path(os.path.realpath(target))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # a file system that makes no folders, as /proc
        raise UserError(f"cannot write {target}: no folder can be made in {error.filename}; choose another") from error
    recover(place)
    return place


@contextmanager
def _interrupt_deferred() -> Iterator[None]:
    """Hold what asks to end back for the few renames of a swap; only Python's main thread ever receives a signal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, remember) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    for one in received:
        signal.raise_signal(one)
