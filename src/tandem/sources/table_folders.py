"""The files of a table that somebody else wrote: all of them, through links, and none of a format that is more.

Delta, Hudi and Iceberg keep rows that were deleted in files that still lie there: only their own logs tell which files
count. Such a table is refused wherever the user points into it. No Spark here.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.errors import UserError
from tandem.storage.filesystems import is_file, is_folder, listing
from tandem.storage.locations import Location, RemotePath
from tandem.storage.tables import is_table, table_files

# What writers leave beside their files, in which no rows are.
_MARKS = re.compile(r"_SUCCESS|_metadata|_common_metadata|_(?:committed|started)_.*|\.DS_Store|.*\.crc")
_LOGS = {"_delta_log": "a Delta table", ".hoodie": "a Hudi table", "_spark_metadata": "a sink of a Spark stream"}
_ICEBERG = re.compile(r"metadata/[^/]+\.metadata\.json")


@dataclass(frozen=True)
class TableFolder:
    """What lies in the place of a table.

    Attributes:
        files: in the order of their names; absolute.
        hidden: files that are not read, as their name or their folder's begins with ``.`` or ``_``.
    """

    files: tuple[Location, ...]
    hidden: tuple[Location, ...] = ()


def files_of_table(place: Location) -> TableFolder:
    """The file of that name, or all files in the folder of that name and in those below; none where none is.

    Links are followed, to files and to folders.

    Raises:
        UserError: a table of Delta, Hudi or Iceberg, a link to nothing or in a circle.
    """
    if isinstance(place, RemotePath):
        return _remote(place)
    place = place.absolute()
    check_link(place)
    if not place.exists():
        return TableFolder(())
    refuse_table_formats(place)
    if place.is_file():
        return TableFolder((place,))
    return _split(place, sorted(_files_below(place, ())))


def refuse_table_formats(place: Location) -> None:
    """Raise UserError where a file or folder is a table of Delta, Hudi or Iceberg, or lies in one."""
    if isinstance(place, RemotePath):
        _refuse_in(place, [str(path).removeprefix(f"{place}/") for path in listing(place)])
        return
    found = place.resolve()
    for folder in (found, *found.parents):
        for log, what in _LOGS.items():
            if (folder / log).is_dir():
                _refuse(folder, what)
        if (folder / "data").is_dir() and (folder / "metadata").is_dir():
            _refuse_in(folder, [f"metadata/{path.name}" for path in (folder / "metadata").glob("*.metadata.json")])


def check_name(path: Location) -> None:
    """Raise UserError where Hadoop, by which Spark reads, takes a file's name, or one in its path, for an address."""
    if isinstance(path, Path) and ":" in path.name:
        raise UserError(f"{path}: Spark reads no file with a colon in its name; rename it")
    # Looking for what could be a pattern, Hadoop takes a path name by name.
    if isinstance(path, Path) and ":" in str(path) and re.search(r"[\\*?\[\]{}]", str(path)):
        raise UserError(
            f"{path}: Spark reads no file with a colon in its path and one of *?[]{{}}\\ there, too; rename its folder"
        )


def is_mark(name: str) -> bool:
    """Whether a file of this name is one in which no rows are, such as ``_SUCCESS``."""
    return _MARKS.fullmatch(name) is not None


def check_link(path: Path) -> None:
    """Raise UserError where a path is a link to nothing: it looks like a file that is not there."""
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path} is a link to {path.readlink()}, which is not there; mend or remove the link")


def _files_below(folder: Path, above: Sequence[Path]) -> Iterator[Path]:
    found = folder.resolve()
    if found in above:
        raise UserError(f"{folder} is a link to a folder that it lies in itself; remove the link")
    for path in folder.iterdir():
        check_link(path)
        if path.is_dir():
            if path.is_symlink():
                refuse_table_formats(path)
            elif path.name in _LOGS:
                _refuse(folder, _LOGS[path.name])
            yield from _files_below(path, (*above, found))
        else:
            yield path


def _remote(place: RemotePath) -> TableFolder:
    if is_file(place):
        return TableFolder((place,))
    if not is_folder(place):
        return TableFolder(())
    if is_table(place):
        return TableFolder(tuple(table_files(place) or ()))
    found = listing(place, recursive=True)
    _refuse_in(place, [str(path).removeprefix(f"{place}/") for path in found])
    return _split(place, [path for path, size in found.items() if size is not None])


def _split(place: Location, paths: Sequence[Location]) -> TableFolder:
    start = len(str(place))
    hidden = [path for path in paths if re.search(r"/[._]", str(path)[start:])]
    files = [path for path in paths if path not in set(hidden)]
    return TableFolder(tuple(files), tuple(path for path in hidden if not is_mark(path.name)))


def _refuse_in(place: Location, names: Sequence[str]) -> None:
    for name in names:
        for log, what in _LOGS.items():
            if log in name.split("/"):
                _refuse(place, what)
        if _ICEBERG.fullmatch(name):
            _refuse(place, "an Iceberg table")


def _refuse(place: Location, what: str) -> None:
    raise UserError(
        f"{place} is {what}: its files hold rows that were deleted or replaced; export the live rows as plain Parquet "
        "(spark.read.format(...).load(...).write.parquet(...)) and name that"
    )
