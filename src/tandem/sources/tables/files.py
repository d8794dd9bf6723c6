"""Finding the tables of a log, and checking all of them that costs no pass over their rows. No Spark here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import unquote

from tandem.errors import UserError, did_you_mean
from tandem.parameters import TablesParameters
from tandem.sources.parquet_columns import FileGroup, Footer, StoredColumn, grouped, look_into
from tandem.sources.table_folders import check_name, files_of_table, is_mark, refuse_table_formats
from tandem.sources.tables.column_types import check_type
from tandem.sources.tables.json_names import names_in
from tandem.sources.tables.roles import Role, Table, described
from tandem.sources.tables.text_files import TextFile, look_into_text
from tandem.storage.filesystems import explaining_reads, open_binary, size_of
from tandem.storage.locations import Location, location

_PARQUET = (b"PAR1", b"PARE")  # the second one is encrypted
_FOLDER = re.compile(r"([^/=]+)=([^/]*)")
_NOTHING = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class ParquetPart:
    """Parquet files that are read together.

    Attributes:
        group: the files, and how they store the columns, by the names these are read under.
        folders: columns that only the names of the files' folders have, by the names they are read under.
        split: the part of a given split that the files are; None: their rows say, or nothing does.
    """

    group: FileGroup
    folders: dict[str, str] = field(default_factory=dict)
    split: str | None = None


@dataclass(frozen=True)
class TextPart:
    """A file of text. split: as of :class:`ParquetPart`."""

    file: TextFile
    split: str | None = None


@dataclass(frozen=True)
class LocatedTable:
    """The files of one table.

    Attributes:
        table: which one, and what is read of it.
        places: the files or folders that the user knows it by.
        parquet: its Parquet files with rows.
        texts: its other files with something in them.
        rows: of all files, by their footers; None where one has none.
        hidden: files that are not read, as their names begin with ``.`` or ``_``.
    """

    table: Table
    places: tuple[Location, ...]
    parquet: tuple[ParquetPart, ...]
    texts: tuple[TextPart, ...]
    rows: int | None
    hidden: tuple[Location, ...] = ()

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.texts) + sum(len(part.group.paths) for part in self.parquet)

    @property
    def place(self) -> str:
        """The files or folders in words."""
        return ", ".join(map(str, self.places))


@dataclass(frozen=True)
class LocatedTables:
    """The tables of a log; None: there is none, or it has no row."""

    interactions: LocatedTable
    users: LocatedTable | None
    items: LocatedTable | None

    def __iter__(self) -> Iterator[LocatedTable]:
        return (table for table in (self.interactions, self.users, self.items) if table is not None)


@explaining_reads()
def locate_tables(parameters: TablesParameters) -> LocatedTables:
    """The files of the tables: those that the parameters name, or all in the folders that they name.

    Of Parquet every footer is read, of text the first megabyte.

    Raises:
        UserError: a file or folder is missing, broken, may not be read or mixes forms; a column is missing, or of a
            type that cannot be converted; the interactions have no rows; a table of Delta, Hudi or Iceberg.
    """
    folder = location(parameters.path).absolute()
    refuse_table_formats(folder)
    found = {table.name: _located(folder, table) for table in described(parameters)}
    log = found["interactions"]
    if not log.files:
        raise UserError(f"{log.place} has no rows; name the file or folder of the interactions")
    users, items = (found.get(name) for name in ("users", "items"))
    return LocatedTables(log, users if users and users.files else None, items if items and items.files else None)


def _located(folder: Location, table: Table) -> LocatedTable:
    parquet: list[ParquetPart] = []
    texts: list[TextPart] = []
    footers: dict[Location, Footer] = {}
    places: list[Location] = []
    hidden: list[Location] = []
    for split, name in table.files.items():
        place = _place(folder, name)
        lying = files_of_table(place)
        if not lying.files and not lying.hidden:
            raise UserError(f"{place} is missing, or has no file; tables.{table.name} names it")
        places.append(place)
        hidden += lying.hidden
        files = [path for path in lying.files if _has_content(path)]
        of_parquet = [path for path in files if is_parquet(path)]
        _check_forms(place, files, of_parquet)
        some = _footers(table, place, of_parquet)
        footers |= some
        parquet += _parquet_parts(table, place, some, split)
        others = [path for path in files if path not in set(of_parquet)]
        texts += [TextPart(text, split) for path in others for text in _text(table, place, path)]
    _check_all_have(table, footers)
    _check_keys(table, [part.file for part in texts])
    rows = None if texts else sum(footer.rows for footer in footers.values())
    return LocatedTable(table, tuple(places), tuple(parquet), tuple(texts), rows, tuple(hidden))


def _place(folder: Location, name: str) -> Location:
    """A file or folder below that of the log, or of its own."""
    if "://" in name or name.startswith(("/", "~")):
        return location(name).absolute()
    return folder if name in (".", "./") else folder / name


def _has_content(path: Location) -> bool:
    """Writers leave empty files of text; one of Parquet is broken."""
    return not is_mark(path.name) and (path.name.endswith(".parquet") or size_of(path) > 0)


def is_parquet(path: Location) -> bool:
    """By its first bytes."""
    with open_binary(path) as file:
        return file.read(4) in _PARQUET


def _check_forms(place: Location, files: Sequence[Location], of_parquet: Sequence[Location]) -> None:
    others = [path for path in files if path not in set(of_parquet)]
    named = next((path for path in others if path.name.endswith(".parquet")), None)
    if named is not None:
        raise UserError(f"{named} is not an intact Parquet file, as its name says; copy it again")
    if others and of_parquet:
        raise UserError(
            f"{others[0]} is no Parquet, as {of_parquet[0].name} beside it is; keep files of one form in {place}"
        )


def _footers(table: Table, place: Location, paths: Sequence[Location]) -> dict[Location, Footer]:
    """Of the Parquet files with rows."""
    wanted = tuple(dict.fromkeys(role.column for role in table.roles))
    found = {}
    for path in paths:
        check_name(path)
        footer = look_into(path, wanted)
        if footer is not None:
            found[path] = footer
            _check_columns(table, place, path, footer)
    return found


def _check_columns(table: Table, place: Location, path: Location, footer: Footer) -> None:
    for role in table.roles:
        if footer.names.count(role.column) > 1:
            raise UserError(f"{path}: column {role.column} stands there twice; remove one of them")
        if role.column in footer.columns:
            check_type(path, role, footer.columns[role.column])
        elif role.kind == "id" and role.column not in folder_values(place, path):
            raise _missing(path, role, footer.names)


def _missing(path: Location | str, role: Role, names: Sequence[str]) -> UserError:
    return UserError(f"{path}: column {role.column} is missing; {did_you_mean(role.column, names)}")


def _check_all_have(table: Table, footers: Mapping[Location, Footer]) -> None:
    """A column stands in each of the files, or in the names of their folders."""
    for role in table.roles:
        lack = [path for path, footer in footers.items() if not _has(role.column, path, footer)]
        have = [path for path in footers if path not in set(lack)]
        if lack and have:
            raise UserError(
                f"{lack[0]}: column {role.column} is missing, which {have[0]} has; write all files of the table with it"
            )
        if lack:
            raise _missing(lack[0], role, footers[lack[0]].names)


def _has(column: str, path: Location, footer: Footer) -> bool:
    return column in footer.columns or f"/{column}=" in unquote(str(path))


def folder_values(place: Location, path: Location) -> dict[str, str | None]:
    """The columns that the names of the folders between have, as in ``day=2025-03-01``."""
    inside = str(path.absolute())[len(str(place.absolute())) :].split("/")[:-1]
    found = (match for part in inside if (match := _FOLDER.fullmatch(part)))
    return {unquote(match[1]): None if match[2] == _NOTHING else unquote(match[2]) for match in found}


def _parquet_parts(
    table: Table, place: Location, footers: Mapping[Location, Footer], split: str | None
) -> Iterator[ParquetPart]:
    """Files that store the columns alike, and have the same ones in the names of their folders, stand together."""
    by_folders: dict[tuple[str, ...], dict[Location, tuple[dict[str, StoredColumn], dict[str, str]]]] = {}
    for path, footer in footers.items():
        own = {role.name: footer.columns[role.column] for role in table.roles if role.column in footer.columns}
        spelt = {role.name: role.column for role in table.roles if role.name in own}
        folders = folder_values(place, path)
        outside = tuple(role.name for role in table.roles if role.name not in own and role.column in folders)
        by_folders.setdefault(outside, {})[path] = own, spelt
    columns = {role.name: role.column for role in table.roles}
    for outside, found in by_folders.items():
        for group in grouped(found):
            yield ParquetPart(group, {name: columns[name] for name in outside}, split)


def _text(table: Table, place: Location, path: Location) -> Iterator[TextFile]:
    """None where there is no record."""
    found = look_into_text(path, table.parameters)
    if found is None:
        return
    if found.form == "csv":
        folders = folder_values(place, path)
        for role in table.roles:
            if role.column not in found.names and role.column not in folders:
                raise _lacking(path, role, found)
            if found.names.count(role.column) > 1:
                raise UserError(f"{path}, row 1: column {role.column} stands there twice; rename one of them")
        yield TextFile(**{**asdict(found), "folders": folders})
    else:
        yield TextFile(**{**asdict(found), "names": names_in(found), "folders": folder_values(place, path)})


def _lacking(path: Location, role: Role, file: TextFile) -> UserError:
    if len(file.names) == 1:
        return UserError(
            f"{path}, row 1: column {role.column} is missing: found one column, {file.names[0][:80]!r}; set separator"
        )
    return _missing(f"{path}, row 1", role, file.names)


def _check_keys(table: Table, files: Sequence[TextFile]) -> None:
    """Objects of JSON may lack a key; where none of the first ones has it, the name is a wrong one."""
    lines = [file for file in files if file.form == "json"]
    for role in table.roles:
        if lines and not any(role.column in file.names or role.column in file.folders for file in lines):
            raise _missing(lines[0].path, role, lines[0].names)
