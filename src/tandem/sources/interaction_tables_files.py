"""Finding an interaction log in Parquet, and checking all of it that costs no pass over its rows. No Spark here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

import pyarrow as pa

from tandem.errors import UserError, did_you_mean
from tandem.sources.parquet_columns import FileGroup, Footer, StoredColumn, grouped, look_into, stored_column
from tandem.sources.table_folders import files_of_table, refuse_table_formats
from tandem.storage.filesystems import explaining_reads, is_file, is_folder, sizes_in
from tandem.storage.locations import Location
from tandem.storage.parquet import is_text, without_dictionary
from tandem.storage.tables import SUFFIX

Kind = Literal["id", "seconds", "number", "age", "year", "text", "texts"]
TableName = Literal["interactions", "users", "items"]

COLUMNS: dict[TableName, dict[str, Kind]] = {
    "interactions": {"user_id": "id", "item_id": "id", "rating": "number", "timestamp": "seconds"},
    "users": {"user_id": "id", "gender": "text", "age": "age", "occupation": "text", "zip_code": "text"},
    "items": {"item_id": "id", "title": "text", "year": "year", "genres": "texts"},
}
_REQUIRED = {"interactions": ("user_id", "item_id", "timestamp"), "users": ("user_id",), "items": ("item_id",)}
# Where the column is there, each row must have a value.
NEVER_NULL: frozenset[Kind] = frozenset({"id", "seconds", "number"})
EXPECTED: dict[Kind, str] = {
    "id": "a whole number",
    "seconds": "whole seconds since 1970, or a Parquet timestamp",
    "number": "a number",
    "age": "whole years from 0 to 150",
    "year": "a year from 1000 to 9999, or nothing",
    "text": "text",
    "texts": "a list of texts",
}
_LAYOUT = "expected interactions.parquet there, and users.parquet and items.parquet where there are any"


@dataclass(frozen=True)
class TableFiles:
    """The files of one table.

    Attributes:
        place: the file or folder that the user knows it by.
        groups: its files with rows, those together whose columns are stored alike; at least one.
        rows: of all files, by their footers.
        unused: the names of columns that are not read, of any file.
        hidden: files that are not read, as their names begin with ``.`` or ``_``.
    """

    place: Location
    groups: tuple[FileGroup, ...]
    rows: int
    unused: tuple[str, ...] = ()
    hidden: tuple[Location, ...] = ()

    @property
    def paths(self) -> tuple[Location, ...]:
        """Of all files."""
        return tuple(path for group in self.groups for path in group.paths)


@explaining_reads()
def locate_interaction_tables(folder: Location) -> dict[TableName, TableFiles]:
    """``interactions.parquet`` in a folder, and ``users.parquet`` and ``items.parquet`` where they have rows.

    Each is a file, or a folder of files as Spark writes them, partitioned or not. Every footer is read, no row is. The
    files of a table may have other columns beside those that are read, in any order.

    Raises:
        UserError: the first is missing or has no rows; a file that is broken or may not be read, lacks a column, has
            one of a type that cannot be converted or of another type than the file before it; a table of Delta, Hudi
            or Iceberg.
    """
    if not is_folder(folder):
        raise UserError(f"no interaction log: {folder} is not a folder; {_LAYOUT}")
    refuse_table_formats(folder)
    found = {name: _table(folder, name) for name in COLUMNS}
    if found["interactions"] is None:
        place = folder / f"interactions{SUFFIX}"
        known = is_file(place) or is_folder(place)
        raise UserError(f"{place} {'has no rows' if known else 'is missing'}; {_LAYOUT}")
    return {name: files for name, files in found.items() if files is not None}


@explaining_reads()
def other_tables(folder: Location) -> list[str]:
    """Names of Parquet files and folders beside the tables of a log, which nothing reads."""
    known = {f"{name}{SUFFIX}" for name in COLUMNS}
    return [path.name for path in sizes_in(folder) if path.name.endswith(SUFFIX) and path.name not in known]


def _table(folder: Location, name: TableName) -> TableFiles | None:
    """None where it is not there, or has no rows."""
    place, kinds = folder / f"{name}{SUFFIX}", COLUMNS[name]
    lying = files_of_table(place)
    footers = {path: footer for path in lying.files if (footer := look_into(path, tuple(kinds))) is not None}
    if not footers:
        return None
    first = next(iter(footers))
    for path, footer in footers.items():
        _check_names(name, path, footer, place)
        for column, stored in footer.columns.items():
            _check_type(path, column, kinds[column], stored)
        _check_alike(place, kinds, first, footers[first], path, footer)
    unused = {column: None for footer in footers.values() for column in footer.names if column not in kinds}
    groups = grouped({path: (footer.columns, {}) for path, footer in footers.items()})
    return TableFiles(place, groups, sum(footer.rows for footer in footers.values()), tuple(unused), lying.hidden)


def _check_names(name: TableName, path: Location, footer: Footer, place: Location) -> None:
    """Each required column stands there once, and no folder is named by a value of one that is read."""
    for column in COLUMNS[name]:
        if footer.names.count(column) > 1:
            raise UserError(f"{path}: column {column} stands there twice; remove one of them")
        folder = re.search(f"/{column}=([^/]*)/", unquote(str(path.absolute())[len(str(place.absolute())) :]))
        if folder is not None and column not in footer.names:
            raise UserError(
                f"{path}: column {column} is only in the name of its folder ({column}={folder[1]}), which is not read; "
                f"write it into the files (of Spark: partition by a copy of {column})"
            )
    missing = [column for column in _REQUIRED[name] if column not in footer.names]
    if missing:
        unknown = [column for column in footer.names if column not in COLUMNS[name]]
        raise UserError(f"{path}: column {missing[0]} is missing; {did_you_mean(missing[0], unknown or footer.names)}")


def _check_alike(
    place: Location, kinds: Mapping[str, Kind], first: Location, before: Footer, path: Location, footer: Footer
) -> None:
    """What is read of two files is of the same types, or holds nothing at all in one of them."""
    for column in kinds:
        one, other = before.columns.get(column), footer.columns.get(column)
        if (one is None) != (other is None):
            lacking, having = (first, path) if one is None else (path, first)
            raise UserError(
                f"{lacking}: column {column} is missing, which {having} has; write all files of {place} with it, or "
                "none"
            )
        if one is None or other is None or one.is_void or other.is_void:
            continue
        if (one.read_as, one.per_second) != (other.read_as, other.per_second):
            raise UserError(
                f"{path}: column {column} has the type {other.type}, and in {first} {one.type}; write all files of "
                f"{place} alike"
            )


def _is_whole(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_))


def _is_years(type_: pa.DataType) -> bool:
    # Floating is what pandas makes of whole numbers with gaps.
    return _is_whole(type_) or bool(pa.types.is_floating(type_))


_FITS: dict[Kind, Callable[[pa.DataType], bool]] = {
    "id": _is_whole,
    "seconds": lambda type_: _is_whole(type_) or bool(pa.types.is_timestamp(type_)),
    "number": lambda type_: _is_years(type_) or bool(pa.types.is_decimal(type_)),
    "age": _is_years,
    "year": _is_years,
    "text": is_text,
    "texts": lambda type_: stored_column(type_).read_as == "array<string>",
}


def _check_type(path: Location, column: str, kind: Kind, stored: StoredColumn) -> None:
    type_ = without_dictionary(stored.type)
    if stored.is_void:
        if kind in NEVER_NULL:
            raise UserError(
                f"{path}: column {column}: expected {EXPECTED[kind]}, found no value in any row (the type {type_}); "
                "fill or remove it"
            )
    elif stored.read_as is None or not _FITS[kind](type_):
        mend = "number them, or take Spark's xxhash64 of them" if kind == "id" and is_text(type_) else "convert it"
        raise UserError(f"{path}: column {column}: expected {EXPECTED[kind]}, found the type {type_}; {mend}")
