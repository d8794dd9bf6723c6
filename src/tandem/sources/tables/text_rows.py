"""The rows of files of text as batches of Arrow: wanted columns as texts, and what is wrong with a row. No Spark here.

Runs in Spark's Python workers, and anywhere else. Memory holds one batch.
"""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import IO, Any
from urllib.parse import quote

import pyarrow as pa

from tandem.sources.tables.json_names import at
from tandem.sources.tables.roles import Role
from tandem.sources.tables.text_files import BROKEN, TextFile, opened_text, quotes_are_wrong, records

BATCH = 1 << 15
_TEXTS = pa.list_(pa.string())
Row = tuple[list[Any], int, str | None]
"""The wanted values, the row in the file (the line it begins at, from 1), and what is wrong with it."""


def row_schema(roles: Sequence[Role], form: str) -> pa.Schema:
    """Of the batches: a text a role (of JSON categories a list), ``_file``, ``_row`` and ``_what`` (null: nothing)."""
    is_list = [form == "json" and role.kind == "categories" for role in roles]
    fields = [(role.name, _TEXTS if many else pa.string()) for role, many in zip(roles, is_list, strict=True)]
    return pa.schema([*fields, ("_file", pa.string()), ("_row", pa.int64()), ("_what", pa.string())])


def text_batches(file: TextFile, roles: Sequence[Role]) -> Iterator[pa.RecordBatch]:
    """All rows of a file; where one breaks the file off, that is the last."""
    schema = row_schema(roles, file.form)
    rows: list[Row] = []
    for row in _rows(file, roles):
        rows.append(row)
        if len(rows) == BATCH:
            yield _batch(file, roles, schema, rows)
            rows = []
    if rows:
        yield _batch(file, roles, schema, rows)


def _rows(file: TextFile, roles: Sequence[Role]) -> Iterator[Row]:
    nothing = [None] * len(roles)
    last = 0
    try:
        with opened_text(file) as text:
            for row in (_csv_rows if file.form == "csv" else _json_rows)(text, file, roles):
                last = row[1]
                yield row
    except UnicodeError as error:
        yield nothing, last + 1, f"it is not written in {file.encoding} ({error.__class__.__name__}); set encoding"
    except BROKEN as error:
        yield nothing, last + 1, f"the file breaks off behind row {last} ({_first_line(error)}); copy it again"


def _csv_rows(text: IO[str], file: TextFile, roles: Sequence[Role]) -> Iterator[Row]:
    reader = records(text, file.separator, file.quote)
    names = list(file.names)
    width = len(names)
    pick = _picker([names.index(role.column) if role.column in names else None for role in roles], file, roles)
    nothing = [None] * len(roles)
    empty = set(file.empty)
    header = file.header
    line = 1
    try:
        for record in reader:
            row, line = line, reader.line_num + 1
            if not record:
                continue
            if header:
                header = False
            elif len(record) == width:
                values = pick(record)
                yield ([None if value in empty else value for value in values] if empty else values), row, None
            else:
                yield nothing, row, _other_width(width, file.separator, len(record))
    except csv.Error as error:
        yield nothing, line, quotes_are_wrong(error)


def _picker(places: list[int | None], file: TextFile, roles: Sequence[Role]) -> Callable[[list[str]], Any]:
    """Takes the wanted fields of a record, and what only the names of folders have."""
    if len(places) > 1 and None not in places:
        return itemgetter(*places)
    constants = [file.folders.get(role.column) for role in roles]
    return lambda record: [
        constant if place is None else record[place] for place, constant in zip(places, constants, strict=True)
    ]


def _other_width(width: int, separator: str, found: int) -> str:
    return f"expected {width} columns separated by {separator!r}, found {found}"


def _json_rows(text: IO[str], file: TextFile, roles: Sequence[Role]) -> Iterator[Row]:
    nothing = [None] * len(roles)
    for row, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line if row > 1 else line.lstrip("\ufeff"))
        except (ValueError, RecursionError) as error:
            yield nothing, row, f"expected an object in JSON, found what cannot be read ({_first_line(error)})"
            continue
        if not isinstance(found, dict):
            yield nothing, row, f"expected an object in JSON, found {line.strip()[:40]}"
            continue
        yield _json_row(found, row, file, roles)


def _json_row(found: dict[str, Any], row: int, file: TextFile, roles: Sequence[Role]) -> Row:
    values: list[Any] = []
    what = None
    for role in roles:
        value = at(found, role.column)
        if value is None and role.column in file.folders:
            value = file.folders[role.column]
        try:
            values.append(_texts(value, role.separator) if role.kind == "categories" else _text(value))
        except TypeError as error:
            values.append(None)
            what = what or f"column {role.column}: expected {error}"
    return values, row, what


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(f"one value, found {'an object' if isinstance(value, dict) else 'a list'}")


def _texts(value: Any, separator: str) -> list[str]:
    if isinstance(value, list):
        return [text for one in value if (text := _text(one)) is not None]
    text = _text(value)
    return [] if text is None else text.split(separator)


def _batch(file: TextFile, roles: Sequence[Role], schema: pa.Schema, rows: list[Row]) -> pa.RecordBatch:
    columns = [list(column) for column in zip(*(values for values, _, _ in rows), strict=True)]
    whats = [what for _, _, what in rows]
    arrays = []
    for index, role in enumerate(roles):
        type_ = schema.field(index).type
        try:
            arrays.append(pa.array(columns[index], type_))
        except UnicodeEncodeError:
            arrays.append(pa.array(_readable(columns[index], whats, role, file), type_))
    place = pa.array([quote(file.path, safe="/:")] * len(rows), pa.string())
    return pa.RecordBatch.from_arrays(
        [*arrays, place, pa.array([row for _, row, _ in rows], pa.int64()), pa.array(whats, pa.string())], schema=schema
    )


def _readable(values: list[Any], whats: list[str | None], role: Role, file: TextFile) -> list[Any]:
    """The values without those that hold what is no text; of each of these ``whats`` tells."""
    found = []
    for index, value in enumerate(values):
        try:
            "".join(value or "").encode()
            found.append(value)
        except UnicodeEncodeError:
            found.append(None)
            shown = "".join(value).encode(file.encoding, "surrogateescape") if file.form == "csv" else value
            whats[index] = whats[index] or (
                f"column {role.column}: expected text in {file.encoding}, found {str(shown)[:60]!a}; set encoding"
            )
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
