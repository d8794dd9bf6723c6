"""The folder of a launch for what must not outlive it: a rankfile, and the sockets of MPI.

Its launcher holds the kernel's lock on it, so that one whose lock can be taken was left by a launcher that was killed.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tandem.storage.siblings import held

# Short, whatever TMPDIR is: Open MPI puts sockets there, whose paths are limited to 108 bytes.
PLACE = Path("/tmp")  # noqa: S108
PREFIX = "tandem."


@contextmanager
def launch_folder() -> Iterator[Path]:
    """A new folder that only this user can read, gone at the end; those that killed launchers left go first."""
    _remove_left()
    while True:
        with (
            tempfile.TemporaryDirectory(prefix=PREFIX, dir=PLACE, ignore_cleanup_errors=True) as name,
            held(folder := Path(name)) as ours,
        ):
            if ours is not False:  # else another launcher has taken it for left in between
                yield folder
                return


def _remove_left() -> None:
    for folder in PLACE.glob(f"{PREFIX}????????"):
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid():
            with held(folder) as ours:
                if ours:
                    shutil.rmtree(folder, ignore_errors=True)
