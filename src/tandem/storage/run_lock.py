"""One run at a time in a folder: a lock that the kernel takes back when its holder dies, however it dies.

It is ``flock`` on a file that stays. What stands in the file only says who holds it; a lock is never told from that.
"""

import errno
import fcntl
import json
import logging
import os
import shlex
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tandem.errors import UserError

FILE_NAME = ".lock"  # hidden: Spark and Arrow pass it over

_log = logging.getLogger(__name__)
_WITHOUT_FLOCK = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_LONGEST_COMMAND = 200
_PATIENCE_SECONDS = 1.0


class RunLock:
    """The lock of a folder, held from ``take`` to ``release``, or to the end of this process alone.

    No child keeps it: the file is closed when one executes a program, and at a fork.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is made or taken yet; folder: what one run at a time may change."""
        self.folder = folder
        self._descriptor: int | None = None
        os.register_at_fork(after_in_child=self._close)

    def take(self) -> None:
        """Take the lock; where the folder knows no locks, or cannot be written, go on without and say so.

        Raises:
            UserError: another run holds it; the text says who.
        """
        path = self.folder / FILE_NAME
        try:
            descriptor = _opened(path)
            self._descriptor = descriptor
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise UserError(
                f"another run is at work in {self.folder}: {_holder(path)}; wait for its end or end it first, "
                "or run in another project folder"
            ) from None
        except OSError as error:
            self._close()
            reason = "its file system knows no locks" if error.errno in _WITHOUT_FLOCK else f"{path}: {error.strerror}"
            _log.warning("%s cannot be locked (%s): see to it that no other run works there", self.folder, reason)
            return
        _write(descriptor, json.dumps(_this_process()))

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            _write(self._descriptor, "")
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _opened(path: Path) -> int:
    """The file, to be written where that is allowed: over NFS a lock needs it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _write(descriptor: int, text: str) -> None:
    """Say who holds the lock. A full disk, or a file of somebody else's, keeps nobody from holding it."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)


def _this_process() -> dict[str, Any]:
    program, *arguments = sys.orig_argv[1:] or [sys.executable]
    words = [Path(program).name, *arguments]
    command = shlex.join(["python", *words] if program.startswith("-") else words)
    shown = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]} …"
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": shown}


def _holder(path: Path) -> str:
    """Who holds the lock; it may have taken it just now, and not have said so yet."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_text())
            return f"process {said['pid']} on {said['host']} since {said['since']} ({said['command']})"
        time.sleep(0.05)
    return "a process that does not say who it is"
