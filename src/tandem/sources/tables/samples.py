"""The first rows of files that nobody has described yet, by their columns. No Spark here."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.errors import UserError
from tandem.parameters import TableParameters
from tandem.sources.table_folders import files_of_table, is_mark
from tandem.sources.tables.files import folder_values, is_parquet
from tandem.sources.tables.text_files import TextFile, look_into_text, opened_text, quotes_are_wrong, records
from tandem.storage.filesystems import explaining_reads, size_of
from tandem.storage.locations import Location
from tandem.storage.parquet import open_intact

ROWS = 100_000
Record = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """A table by its first rows.

    Attributes:
        place: its file or folder.
        form: ``parquet``, ``csv`` or ``json``.
        rows: how many there are, or how many were looked at.
        is_whole: whether that is all.
        columns: by name the values of the rows that were looked at; None where there is none.
        types: of Parquet's columns, in Arrow's words.
        text: how the first file is read, of text.
    """

    place: Location
    form: str
    rows: int
    is_whole: bool
    columns: dict[str, list[Any]]
    types: dict[str, str] = field(default_factory=dict)
    text: TextFile | None = None

    @property
    def looked_at(self) -> int:
        """How many rows were."""
        return max(map(len, self.columns.values()), default=0)


@explaining_reads()
def sample(place: Location, most: int = ROWS) -> Sample:
    """Look at a file, or at the files in a folder as at one table, by so many rows at most.

    Raises:
        UserError: it is missing, has no rows, is broken or may not be read.
    """
    lying = files_of_table(place)
    files = [path for path in lying.files if size_of(path) and not is_mark(path.name)]
    if not files:
        raise UserError(f"{place} is missing, or has nothing in it; name a file or a folder of files")
    found = _parquet(place, files, most) if is_parquet(files[0]) else _texts(place, files, most)
    if not found.looked_at:
        raise UserError(f"{place} has no rows; name a file or a folder with some")
    return found


def _parquet(place: Location, files: Sequence[Location], most: int) -> Sample:
    opened = [(path, open_intact(path)) for path in files]
    rows = sum(file.metadata.num_rows for _, file in opened)
    filled = [(path, file) for path, file in opened if file.metadata.num_rows]
    types: dict[str, str] = {}
    records_: list[Record] = []
    for path, file in filled:
        types |= {name: str(type_) for name, type_ in _flat_types(file.schema_arrow)}
        folders = folder_values(place, path)
        records_ += [record | folders for record in islice(_parquet_rows(file), most - len(records_))]
        if len(records_) == most:
            break
    names = [*types, *(name for name in (records_[0] if records_ else ()) if name not in types)]
    columns = {name: [record.get(name) for record in records_] for name in names}
    return Sample(place, "parquet", rows, rows <= most, columns, types)


def _flat_types(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for column in schema:
        if pa.types.is_struct(column.type):
            yield from ((f"{column.name}.{inner.name}", inner.type) for inner in column.type)
        else:
            yield column.name, column.type


def _parquet_rows(file: pq.ParquetFile) -> Iterator[Record]:
    for batch in file.iter_batches(batch_size=4096):
        for record in batch.to_pylist():
            yield dict(_flat(record))


def _flat(record: Record, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _texts(place: Location, files: Sequence[Location], most: int) -> Sample:
    looked_at = [(path, text) for path in files if (text := look_into_text(path, TableParameters())) is not None]
    opened = [(path, _without_header(text)) for path, text in looked_at]
    some = list(islice(_records(place, opened), most + 1))
    names = dict.fromkeys(name for record in some for name in record)
    kept = some[:most]
    columns = {name: [record.get(name) for record in kept] for name in names}
    first = opened[0][1] if opened else None
    return Sample(place, first.form if first else "csv", len(kept), len(some) <= most, columns, {}, first)


def _records(place: Location, opened: Sequence[tuple[Location, TextFile]]) -> Iterator[Record]:
    for path, text in opened:
        folders = folder_values(place, path)
        yield from (record | folders if folders else record for record in _text_rows(text))


def _text_rows(file: TextFile) -> Iterator[Record]:
    with opened_text(file) as text:
        if file.form == "json":
            for row, line in enumerate(text, start=1):
                if line.strip():
                    yield dict(_flat(_object(file, row, line)))
            return
        reader = records(text, file.separator, file.quote)
        try:
            found = (record for record in reader if record)
            for record in islice(found, int(file.header), None):
                yield {name: value or None for name, value in zip(file.names, record, strict=False)}
        except csv.Error as error:
            raise UserError(f"{file.path}, row {reader.line_num}: {quotes_are_wrong(error)}") from error


def _object(file: TextFile, row: int, line: str) -> Record:
    try:
        found = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file.path}, row {row}: expected an object in JSON, found {line.strip()[:40]!r}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file.path}, row {row}: expected an object in JSON, found {line.strip()[:40]!r}")
    return found


def _without_header(file: TextFile) -> TextFile:
    """Names that are numbers, or dates, are a first row of values."""
    if file.form != "csv" or not any(re.fullmatch(r"-?[0-9][0-9.,:/ -]*", name) for name in file.names):
        return file
    names = tuple(f"column_{index}" for index in range(1, len(file.names) + 1))
    return TextFile(**{**file.to_json(), "header": False, "names": names, "empty": file.empty})
