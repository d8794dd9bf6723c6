"""Hidden files and folders beside an output, in which it is made or kept meanwhile, and what a killed process left.

```
.NAME.new-0123abcd    is being made; abandoned, it is removed
.NAME.old-0123abcd    stood in place of NAME until a moment ago; abandoned, it is put back where NAME is missing
.NAME.kept-0123abcd   a whole copy of NAME, which is being replaced piece by piece; abandoned, it is put back
```

Who makes one holds the kernel's lock (flock) on it for as long as it is needed; the kernel releases it when the process
ends, in whatever way. So an abandoned one is one whose lock can be taken. Where the storage knows no locks (a folder on
NFS) nobody can tell, and it stays.
"""

import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Literal

Role = Literal["new", "old", "kept"]
_NAME = re.compile(r"\.(?P<target>.+)\.(?P<role>new|old|kept)-[0-9a-f]{8}", re.DOTALL)


def sibling(target: Path, role: Role) -> Path:
    """A fresh hidden name beside ``target``: same file system, and skipped by Spark where it lists the parent."""
    return target.parent / f".{target.name}.{role}-{uuid.uuid4().hex[:8]}"


def new_folder(target: Path) -> AbstractContextManager[Path]:
    """Make an empty folder beside ``target``, and hold it."""
    return _new(target, Path.mkdir)


def new_file(target: Path) -> AbstractContextManager[Path]:
    """Make an empty file beside ``target``, and hold it."""
    return _new(target, Path.touch)


@contextmanager
def _new(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    while True:
        path = sibling(target, "new")
        make(path)
        with held(path) as ours:
            # Between the two somebody may have taken it for abandoned.
            if ours is not False:
                yield path
                return


@contextmanager
def held(path: Path) -> Iterator[bool | None]:
    """Hold the lock of a file or folder, by whatever name it goes meanwhile.

    Yields True, False where somebody else holds it or has removed it, or None where nobody can tell.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    except OSError:
        yield None
        return
    try:
        yield _lock(descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> bool | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    return False


def recover(target: Path) -> list[Path]:
    """Remove what killed processes left beside ``target``, or put it back in its place; returns those names.

    Raises OSError where that is not allowed.
    """
    beside = sorted(_siblings(target.parent))
    return [path for path in beside if _target_of(path) == target and _settle(path, target)]


def sweep(folder: Path) -> list[Path]:
    """The same for everything below ``folder``, links not followed; returns the names that were found abandoned."""
    found: list[Path] = []
    for place, folders, _ in os.walk(folder):
        beside = sorted(_siblings(Path(place)))
        folders[:] = [name for name in folders if not _NAME.fullmatch(name)]
        found += [path for path in beside if _settle(path, _target_of(path))]
    return found


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _siblings(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
        yield from (folder / entry.name for entry in entries if _NAME.fullmatch(entry.name))


def _target_of(path: Path) -> Path:
    match = _NAME.fullmatch(path.name)
    assert match is not None, path  # noqa: S101 -- _siblings gives no others
    return path.with_name(match["target"])


def _settle(path: Path, target: Path) -> bool:
    """Whether it was abandoned; it is then gone from its name."""
    with held(path) as ours:
        if not ours:
            return False
        role = path.name.rpartition(".")[2].partition("-")[0]
        if role == "kept":
            remove(target)
        if role == "kept" or (role == "old" and not os.path.lexists(target)):
            path.rename(target)
        else:
            remove(path)
    return True
