"""Finding the files of the RecSys Challenge 2021 and checking all of them that costs no pass over their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tandem.errors import UserError, did_you_mean
from tandem.sources.parquet_columns import FileGroup, Footer, StoredColumn, grouped, look_into
from tandem.sources.raw_texts import check_raw_text
from tandem.sources.recsys2021_format import MISSPELT, NAMES, RAW_COLUMNS, RawColumn
from tandem.sources.table_folders import check_link, check_name, is_mark, refuse_table_formats
from tandem.storage.filesystems import explaining_reads, is_folder, open_binary, sizes_in
from tandem.storage.locations import Location
from tandem.storage.parquet import is_text, without_dictionary

_PARQUET_MAGIC = b"PAR1"
_LAYOUT = "expected train/ and test/ with part files, raw (\\x01 between 24 columns, no header) or Parquet"


@dataclass(frozen=True)
class RawFiles:
    """Files of one half that are read together.

    Attributes:
        paths: absolute, in the order of their names; none is empty.
        stored: None for raw files; else how these Parquet files store the columns, by published name.
    """

    paths: tuple[Location, ...]
    stored: FileGroup | None = None

    @property
    def columns(self) -> dict[str, str] | None:
        """None for raw files; else the name each column has in these Parquet files, by its published name."""
        return None if self.stored is None else {name: self.stored.spelt.get(name, name) for name in NAMES}


@dataclass(frozen=True)
class Half:
    """The files of one half.

    Attributes:
        groups: files that are read together.
        rows: of all files; None where no footer tells.
        hidden: names of files that are not read, as they begin with ``.`` or ``_``.
    """

    groups: tuple[RawFiles, ...]
    rows: int | None = None
    hidden: tuple[str, ...] = ()

    @property
    def files(self) -> int:
        """How many there are."""
        return sum(len(group.paths) for group in self.groups)


@dataclass(frozen=True)
class RecSys2021Files:
    """What is to be read: files of one form stand together."""

    halves: dict[str, Half]

    @property
    def train(self) -> tuple[RawFiles, ...]:
        """Of the training rows."""
        return self.halves["train"].groups

    @property
    def test(self) -> tuple[RawFiles, ...]:
        """Of the test rows."""
        return self.halves["test"].groups


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
    return RecSys2021Files({half: _half(folder / half) for half in ("train", "test")})


def _half(folder: Location) -> Half:
    refuse_table_formats(folder)
    if isinstance(folder, Path):
        for entry in folder.iterdir():
            check_link(entry)
    sizes: Mapping[Location, int | None] = dict(sizes_in(folder).items())
    lying = {path: size for path, size in sizes.items() if size != 0 and not is_mark(path.name)}
    hidden = tuple(path.name for path in lying if path.name.startswith((".", "_")))
    found = {path: size for path, size in lying.items() if path.name not in hidden}
    for path, size in found.items():
        if size is None:
            raise UserError(f"{path} is a folder; put its part files directly into {folder}")
        check_name(path)
    filled = [path.absolute() for path in found]
    parquet = [path for path in filled if _is_parquet(path)]
    raw = [path for path in filled if path not in set(parquet)]
    if raw and parquet:
        raise UserError(f"{folder} mixes forms: {parquet[0].name} is Parquet, {raw[0].name} is not; keep one of them")
    for path in raw:
        check_raw_text(path)
    half = _parquet_half(parquet, hidden) if parquet else Half((RawFiles(tuple(raw)),) if raw else (), None, hidden)
    if not half.groups:
        raise UserError(f"{folder} has no rows; {_LAYOUT}")
    return half


def _is_parquet(path: Location) -> bool:
    with open_binary(path) as file:
        return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC


def _parquet_half(paths: Sequence[Location], hidden: tuple[str, ...]) -> Half:
    """Parquet files with rows, those together that store the columns alike."""
    footers: dict[Location, Footer] = {}
    found: dict[Location, tuple[dict[str, StoredColumn], dict[str, str]]] = {}
    for path in paths:
        footer = look_into(path, (*NAMES, *MISSPELT))
        if footer is None:
            continue
        spelt = _published_names(path, footer.names)
        columns = {name: footer.columns[own] for name, own in spelt.items()}
        for column in RAW_COLUMNS:
            _check_type(path, column, columns[column.name])
        footers[path] = footer
        found[path] = columns, {name: own for name, own in spelt.items() if name != own}
    groups = tuple(RawFiles(group.paths, group) for group in grouped(found))
    return Half(groups, sum(footer.rows for footer in footers.values()), hidden)


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


def _check_type(path: Location, column: RawColumn, stored: StoredColumn) -> None:
    type_ = without_dictionary(stored.type)
    accepted = pa.types.is_null(type_) or is_text(type_) or pa.types.is_integer(type_)
    if column.kind in ("count", "time", "engagement"):
        # What pandas and databases make of whole numbers.
        accepted = accepted or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    if column.kind in ("flag", "flag text"):
        accepted = accepted or pa.types.is_boolean(type_)
    if not accepted or stored.read_as is None:
        raise UserError(f"{path}: column {column.name}: expected {column.expected}, found the type {type_}; convert it")
