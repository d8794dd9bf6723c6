"""Ending a rank with the launcher or the mpirun that started it."""

import contextlib
import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(expected: int | None = None) -> None:
    """Have the kernel kill this process when its parent ends (Linux; elsewhere nothing happens).

    expected: the parent's number, where it is known. Else a parent that has ended before is told by number 1, which
    inherits orphans, and which in a container may be the launcher itself.
    """
    parent = os.getppid()
    orphaned = parent == 1 if expected is None else parent != expected
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if orphaned or os.getppid() != parent:
        os._exit(143)
