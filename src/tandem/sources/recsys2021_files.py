"""Finding the files of the RecSys Challenge 2021 and checking all of them that costs no pass over their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from tandem.errors import UserError, did_you_mean
from tandem.sources.recsys2021_format import MISSPELT, NAMES, RAW_COLUMNS, RawColumn
from tandem.storage.filesystems import explaining_reads, is_folder, open_binary, sizes_in
from tandem.storage.locations import Location
from tandem.storage.parquet import is_text, open_intact

_PARQUET_MAGIC = b"PAR1"
_LAYOUT = "expected train/ and test/ with part files, raw (\\x01 between 24 columns, no header) or Parquet"


@dataclass(frozen=True)
class RawFiles:
    """Files of one half that are read together.

    Attributes:
        paths: absolute, in the order of their names; none is empty.
        columns: None for raw files; else the name each column has in these Parquet files, by its published name.
        types: the Arrow types of those columns, by published name.
    """

    paths: tuple[Location, ...]
    columns: dict[str, str] | None = None
    types: dict[str, pa.DataType] = field(default_factory=dict)


@dataclass(frozen=True)
class RecSys2021Files:
    """What is to be read: files of one form stand together."""

    train: tuple[RawFiles, ...]
    test: tuple[RawFiles, ...]


@explaining_reads()
def locate_recsys2021(folder: Location) -> RecSys2021Files:
    """The files in ``folder/train`` and ``folder/test``, by any name; hidden and underscored ones are skipped.

    Parquet is known by its first bytes, not by its name. Every Parquet footer is read, no row is.

    Raises:
        UserError: a missing folder, one or a file that may not be read, a half without rows, a Parquet file that lacks
            a column, has one more or one of a type that cannot be converted.
    """
    if not is_folder(folder):
        raise UserError(f"no RecSys Challenge 2021 data: {folder} does not exist; {_LAYOUT}")
    for half in ("train", "test"):
        if not is_folder(folder / half):
            raise UserError(f"{folder / half} is missing; {_LAYOUT}")
    return RecSys2021Files(_half(folder / "train"), _half(folder / "test"))


def _half(folder: Location) -> tuple[RawFiles, ...]:
    hidden = (".", "_")
    found = {
        path: size
        for path, size in sizes_in(folder).items()
        if not path.name.startswith(hidden) and not path.name.endswith(".crc")
    }
    for path, size in found.items():
        if size is None:
            raise UserError(f"{path} is a folder; put its part files directly into {folder}")
    filled = [path.absolute() for path, size in found.items() if size]
    parquet = [path for path in filled if _is_parquet(path)]
    raw = [path for path in filled if path not in set(parquet)]
    if raw and parquet:
        raise UserError(f"{folder} mixes forms: {parquet[0].name} is Parquet, {raw[0].name} is not; keep one of them")
    groups = _parquet_groups(parquet) if parquet else tuple([RawFiles(tuple(raw))] if raw else [])
    if not groups:
        raise UserError(f"{folder} has no rows; {_LAYOUT}")
    return groups


def _is_parquet(path: Location) -> bool:
    with open_binary(path) as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _parquet_groups(paths: Sequence[Location]) -> tuple[RawFiles, ...]:
    """Parquet files with rows, those of one schema together."""
    groups: dict[str, RawFiles] = {}
    for path in paths:
        with open_intact(path) as footer:
            if footer.metadata.num_rows == 0:
                continue
            schema = footer.schema_arrow
        columns = _published_names(path, schema.names)
        types = {name: schema.field(spelt).type for name, spelt in columns.items()}
        for column in RAW_COLUMNS:
            _check_type(path, column, types[column.name])
        group = groups.get(str(schema), RawFiles((), columns, types))
        groups[str(schema)] = RawFiles((*group.paths, path), columns, types)
    return tuple(groups.values())


def _published_names(path: Location, names: Sequence[str]) -> dict[str, str]:
    """The file's own name of each column, by its published name."""
    columns = {MISSPELT.get(name, name): name for name in names}
    missing = [name for name in NAMES if name not in columns]
    unknown = [name for name in columns if name not in NAMES]
    if not missing and not unknown and len(names) == len(NAMES):
        return {name: columns[name] for name in NAMES}
    found = f"expected {len(NAMES)} columns, found {len(names)}"
    if missing:
        # The list of all is no help where nothing is near.
        near = did_you_mean(missing[0], unknown) if unknown else ""
        hint = f"; {near}" if near.startswith("did") else ""
        raise UserError(f"{path}: {found}: {missing[0]} is missing{hint}; add it, with nulls where it is not known")
    if unknown:
        raise UserError(f"{path}: {found}: {unknown[0]} is not one of the challenge's; remove it")
    twice = next(name for name in columns if sum(MISSPELT.get(other, other) == name for other in names) > 1)
    raise UserError(f"{path}: {found}: {twice} stands there twice; remove one of them")


def _check_type(path: Location, column: RawColumn, type_: pa.DataType) -> None:
    integer = pa.types.is_integer(type_)
    accepted = pa.types.is_null(type_) or is_text(type_) or integer
    if column.kind in ("count", "time", "engagement"):
        # What pandas makes of whole numbers with gaps.
        accepted = accepted or pa.types.is_floating(type_)
    if column.kind in ("flag", "flag text"):
        accepted = accepted or pa.types.is_boolean(type_)
    if not accepted:
        raise UserError(f"{path}: column {column.name}: expected {column.expected}, found the type {type_}; convert it")
