"""Finding an interaction log in Parquet, and checking all of it that costs no pass over its rows. No Spark here."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from tandem.errors import UserError, did_you_mean
from tandem.storage.filesystems import explaining_reads, is_file, is_folder, listing, open_binary
from tandem.storage.locations import Location, RemotePath
from tandem.storage.parquet import is_text, open_intact
from tandem.storage.tables import SUFFIX, table_files

Kind = Literal["id", "seconds", "number", "years", "text", "texts"]
TableName = Literal["interactions", "users", "items"]

COLUMNS: dict[TableName, dict[str, Kind]] = {
    "interactions": {"user_id": "id", "item_id": "id", "rating": "number", "timestamp": "seconds"},
    "users": {"user_id": "id", "gender": "text", "age": "years", "occupation": "text", "zip_code": "text"},
    "items": {"item_id": "id", "title": "text", "year": "years", "genres": "texts"},
}
_REQUIRED = {"interactions": ("user_id", "item_id", "timestamp"), "users": ("user_id",), "items": ("item_id",)}
EXPECTED: dict[Kind, str] = {
    "id": "a whole number",
    "seconds": "whole seconds since 1970, or a Parquet timestamp",
    "number": "a number",
    "years": "whole years",
    "text": "text",
    "texts": "a list of texts",
}
_LAYOUT = "expected interactions.parquet there, and users.parquet and items.parquet where there are any"


@dataclass(frozen=True)
class TableFiles:
    """The files of one table, which all have the same columns.

    Attributes:
        place: the file or folder that the user knows it by.
        paths: its files, in the order of their names.
        types: the Arrow types of the columns that are read.
        unused: the names of its other columns.
    """

    place: Location
    paths: tuple[Location, ...]
    types: dict[str, pa.DataType]
    unused: tuple[str, ...]


@explaining_reads()
def locate_interaction_tables(folder: Location) -> dict[TableName, TableFiles]:
    """``interactions.parquet`` in a folder, and ``users.parquet`` and ``items.parquet`` where they have rows.

    Each is a file, or a folder of files as Spark writes them, partitioned or not. Every footer is read, no row is.

    Raises:
        UserError: the first is missing or has no rows; a file that is broken or may not be read, lacks a column, has
            one of a type that cannot be converted, or other columns than the file before it.
    """
    if not is_folder(folder):
        raise UserError(f"no interaction log: {folder} is not a folder; {_LAYOUT}")
    found = {name: _table(folder, name) for name in COLUMNS}
    if found["interactions"] is None:
        place = folder / f"interactions{SUFFIX}"
        known = is_file(place) or is_folder(place)
        raise UserError(f"{place} {'has no rows' if known else 'is missing'}; {_LAYOUT}")
    return {name: files for name, files in found.items() if files is not None}


def _table(folder: Location, name: TableName) -> TableFiles | None:
    """None where it is not there, or has no rows."""
    place = folder / f"{name}{SUFFIX}"
    schemas = {path: schema for path in _files(place) if (schema := _schema(path)) is not None}
    if not schemas:
        return None
    first, schema = next(iter(schemas.items()))
    for path, other in schemas.items():
        if not other.equals(schema):
            raise UserError(f"{path} has other columns or types than {first}; write all files of {place} alike")
    kinds = COLUMNS[name]
    missing = [column for column in _REQUIRED[name] if column not in schema.names]
    if missing:
        unknown = [column for column in schema.names if column not in kinds]
        raise UserError(f"{first}: column {missing[0]} is missing; {did_you_mean(missing[0], unknown or schema.names)}")
    for column in kinds:
        if schema.names.count(column) > 1:
            raise UserError(f"{first}: column {column} stands there twice; remove one of them")
    types = {column: schema.field(column).type for column in kinds if column in schema.names}
    for column, type_ in types.items():
        _check_type(first, column, kinds[column], type_)
    return TableFiles(place, tuple(schemas), types, tuple(column for column in schema.names if column not in kinds))


def _files(place: Location) -> Sequence[Location]:
    """Those of a table, also in the folders of partitions; what these are named by is not read."""
    if is_file(place):
        return [place.absolute()]
    if not is_folder(place):
        return []
    if isinstance(place, RemotePath):
        files = table_files(place)
        if files is not None:
            return files
        inside: Sequence[Location] = [path for path, size in listing(place, recursive=True).items() if size is not None]
    else:
        inside = sorted(path.absolute() for path in place.rglob("*") if path.is_file())
    start = len(str(place.absolute()))
    found = [path for path in inside if not re.search(r"/[._]", str(path)[start:])]
    for path in found:
        if not path.name.endswith(SUFFIX):
            raise UserError(f"{path} is no Parquet file ({SUFFIX}); {place} must hold nothing else")
    return found


def _schema(path: Location) -> pa.Schema | None:
    """The columns of a file; None where it has no rows."""
    open_binary(path).close()  # what may not be read is told here: to Arrow it is not intact
    with open_intact(path) as footer:
        if footer.metadata.num_rows == 0:
            return None
        for index in range(len(footer.schema)):
            column = footer.schema.column(index)
            if "nanoseconds" in str(column.logical_type):
                raise UserError(
                    f"{path}: column {column.name}: Spark reads no timestamps in nanoseconds; write microseconds "
                    "(pandas: to_parquet(..., coerce_timestamps='us'))"
                )
        return footer.schema_arrow.remove_metadata()


def _is_whole(type_: pa.DataType) -> bool:
    return pa.types.is_integer(type_) and not pa.types.is_uint64(type_)


def _is_number(type_: pa.DataType) -> bool:
    return _is_whole(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def _is_list_of_texts(type_: pa.DataType) -> bool:
    return (pa.types.is_list(type_) or pa.types.is_large_list(type_)) and is_text(type_.value_type)


_FITS: dict[Kind, Callable[[pa.DataType], bool]] = {
    "id": _is_whole,
    "seconds": lambda type_: _is_whole(type_) or pa.types.is_timestamp(type_),
    "number": _is_number,
    # What pandas makes of whole numbers with gaps.
    "years": lambda type_: _is_whole(type_) or pa.types.is_floating(type_) or pa.types.is_null(type_),
    "text": lambda type_: is_text(type_) or pa.types.is_null(type_),
    "texts": lambda type_: _is_list_of_texts(type_) or pa.types.is_null(type_),
}


def _check_type(path: Location, column: str, kind: Kind, type_: pa.DataType) -> None:
    if not _FITS[kind](type_):
        mend = "number them, or take Spark's xxhash64 of them" if kind == "id" and is_text(type_) else "convert it"
        raise UserError(f"{path}: column {column}: expected {EXPECTED[kind]}, found the type {type_}; {mend}")
