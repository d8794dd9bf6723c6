"""Tables on remote storage, which knows no renaming of a folder: new files beside the old, and a manifest that counts.

``train.parquet/`` holds ``_manifest-000007.json`` and the sub-folder ``3fa94c1e02b7/`` with the files that it names.
A new version is written into a sub-folder of its own. Then its manifest, with the next number, is written in one
request: from then on it is the table. Only after that the old files are removed. Readers take the manifest with the
highest number that is whole. So they see the old version or the new one, and a write that fails at any time, even of
the manifest, leaves the old one.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from tandem.errors import UserError
from tandem.storage.filesystems import arrow_path, explaining, filesystem, listing, open_binary, write_bytes
from tandem.storage.locations import RemotePath

_MANIFEST = re.compile(r"_manifest-(\d{6,})\.json")
_VERSION = re.compile(r"[0-9a-f]{12}")
_BEGUN = "_begun"
SUFFIX = ".parquet"


def table_files(folder: RemotePath) -> list[RemotePath] | None:
    """The Parquet files of a table, in a fixed order; None where there is no table.

    A folder with Parquet files and no manifest, made elsewhere, is a table as well.

    Raises:
        UserError: the storage refuses it.
    """
    found = listing(folder)
    named = _newest(found)
    if named is not None:
        return [folder / name for name in named]
    plain = [file for file, size in found.items() if size is not None and file.name.endswith(SUFFIX)]
    return plain or None


def is_table(folder: RemotePath) -> bool:
    """Whether a table was written there by :func:`staged_table`: a manifest says which of its files count."""
    return any(_MANIFEST.fullmatch(file.name) for file in listing(folder))


@contextmanager
def staged_table(folder: RemotePath) -> Iterator[RemotePath]:
    """Yield a sub-folder for the files of a table, which then, without an error, takes the place of the old one.

    Raises:
        UserError: the storage refuses it; said before the files are made. The table is as it was.
    """
    found = listing(folder)
    # One that broke off has its number too: the new one must not be removed as an old one.
    number = max((int(match[1]) for file in found if (match := _MANIFEST.fullmatch(file.name))), default=0) + 1
    staging = folder / uuid.uuid4().hex[:12]
    # What may not be written is said now, and not after hours by whoever writes the files.
    write_bytes(staging / _BEGUN, b"")
    try:
        yield staging
        names = [str(file).removeprefix(f"{folder}/") for file in new_files(staging)]
    except BaseException:
        _remove(staging)
        raise
    # Where this fails nobody can say whether it was written: the files stay, for the next write to remove.
    write_bytes(folder / f"_manifest-{number:06d}.json", json.dumps({"files": names}, indent=1).encode())
    _remove_old(found)


def _newest(found: Iterable[RemotePath]) -> list[str] | None:
    """The files that the newest whole manifest names."""
    numbered = {int(match[1]): file for file in found if (match := _MANIFEST.fullmatch(file.name))}
    for number in sorted(numbered, reverse=True):
        with explaining(numbered[number]), open_binary(numbered[number]) as source:
            content = source.read()
        with suppress(ValueError, KeyError, TypeError):  # one that broke off: its version never came to be
            return [str(name) for name in json.loads(content)["files"]]
    return None


def new_files(staging: RemotePath) -> list[RemotePath]:
    """The Parquet files that were written into the sub-folder of a version so far.

    Raises:
        UserError: the storage refuses to list them.
    """
    start = len(str(staging)) + 1
    files = listing(staging, recursive=True)
    hidden = re.compile(r"(^|/)[._]")
    return [
        file
        for file, size in files.items()
        if size is not None and file.name.endswith(SUFFIX) and not hidden.search(str(file)[start:])
    ]


def _remove_old(found: Iterable[RemotePath]) -> None:
    for old in found:
        if _MANIFEST.fullmatch(old.name) or _VERSION.fullmatch(old.name):
            _remove(old)


def _remove(old: RemotePath) -> None:
    """Remove what is no part of the table any more; what cannot be removed stays, and the next write tries again.

    Arrow also marks the folder around it, which some servers refuse after the removal: once is enough.
    """
    with suppress(UserError), explaining(old):
        storage = filesystem(old, attempts=1)
        if _MANIFEST.fullmatch(old.name):
            storage.delete_file(arrow_path(old))
        else:
            storage.delete_dir(arrow_path(old))
