"""What the documented rules say of a log: its rows, read by Arrow and plain Python, or why it must be refused.

The rules are those of docs/own_tables.md and of the readers' docstrings; nothing of the readers is used here.
"""

import os
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.judge_values import BAD, KINDS, convert, fit, normal_type

KEYS = {"users": "user_id", "items": "item_id"}
NEEDED = {"interactions": ("user_id", "item_id", "timestamp"), "users": ("user_id",), "items": ("item_id",)}
# Codecs that Spark's Java has no library for.
_CODECS = {"BROTLI", "LZO"}
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Fault:
    """A reason to refuse a log.

    Attributes:
        why: in short, for the figures.
        tells: what a line that tells of it holds: the file or folder, the column, the row.
        must: whether no right result is possible; else both are.
        value: what stands there, where a row is meant.
        rows: how many such rows the table has.
    """

    why: str
    tells: tuple[str, ...]
    must: bool = True
    value: Any = None
    rows: int = 0


@dataclass
class Verdict:
    """What a log holds.

    Attributes:
        faults: why it may be refused.
        tables: the rows of those that have any, in the order of the columns in ``KINDS``.
        rows: how many each of those has in its files: rows without a weight are no interactions.
        doubtful: whether a column is of a type of which these rules do not say what is read.
    """

    faults: list[Fault] = field(default_factory=list)
    tables: dict[str, list[Row]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    doubtful: bool = False

    def fault(self, why: str, *tells: Any, must: bool = True) -> None:
        """Note one."""
        self.faults.append(Fault(why, tuple(str(part) for part in tells), must))


def judge(folder: Path) -> Verdict:
    """Read a log whole."""
    verdict = Verdict()
    for name in KINDS:
        _judge_table(verdict, folder / f"{name}.parquet", name)
    if "interactions" not in verdict.tables and not any(fault.must for fault in verdict.faults):
        verdict.fault("no interactions", folder / "interactions.parquet")
    return verdict


def _judge_table(verdict: Verdict, place: Path, name: str) -> None:
    opened = [(path, file) for path in _files(verdict, place) if (file := open_file(verdict, path)) is not None]
    opened = [(path, file) for path, file in opened if file.metadata.num_rows]
    if not opened:
        return
    known = len(verdict.faults)
    for path, file in opened:
        _judge_columns(verdict, path, name, file)
    _judge_differences(verdict, name, opened)
    if any(fault.must for fault in verdict.faults[known:]) or verdict.doubtful:
        verdict.tables[name] = []
        return
    rows: list[Row] = []
    bad: list[Fault] = []
    for path, file in opened:
        found = _rows(verdict, path, name, file)
        rows += [row for row, _ in found]
        bad += [fault for _, faults in found for fault in faults]
    count = len({fault.tells[:2] for fault in bad})
    verdict.faults += [Fault(fault.why, fault.tells, fault.must, fault.value, count) for fault in bad]
    verdict.rows[name] = len(rows)
    verdict.tables[name] = [row for row in rows if name != "interactions" or row[2] is not None]
    if rows and not verdict.tables[name]:
        verdict.fault("no weight", place, "column rating")
    if name in KEYS and not count:
        for key, times in Counter(row[0] for row in rows).items():
            if times > 1:
                verdict.fault("repeated key", place, f"column {KEYS[name]}: {key} stands there {times} times")


def _files(verdict: Verdict, place: Path) -> Iterator[Path]:
    if place.is_symlink() and not place.exists():
        verdict.fault("broken link", place)
    if not place.is_dir():
        if place.exists():
            judge_name(verdict, place)
            yield place
        return
    yield from _inside(verdict, place, place, (os.path.realpath(place),))


def _inside(verdict: Verdict, place: Path, folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in ("_delta_log", ".hoodie"):
            verdict.fault("a table of Delta or Hudi", place)
        if path.name.startswith((".", "_")):
            continue
        if path.is_symlink() and not path.exists():
            verdict.fault("broken link", path)
        elif path.is_dir():
            real = os.path.realpath(path)
            if path.is_symlink():
                verdict.fault("link to a folder", path, must=real in above)
            if real not in above:
                yield from _inside(verdict, place, path, (*above, real))
        elif not path.name.endswith(".parquet"):
            verdict.fault("no Parquet file", path, must=False)
        else:
            judge_name(verdict, path)
            yield path


def judge_name(verdict: Verdict, path: Path) -> None:
    """What keeps Hadoop from a file that Arrow reads: a colon in its name, and a checksum of Hadoop's own beside it."""
    if ":" in path.name or (":" in str(path) and re.search(r"[\\*?\[\]{}]", str(path))):
        verdict.fault("colon in a name", path, "colon", must=False)
    if path.with_name(f".{path.name}.crc").exists():
        verdict.fault("checksum beside the file", path, must=False)


def open_file(verdict: Verdict, path: Path) -> pq.ParquetFile | None:
    """The file; None, and a fault, where it is broken."""
    try:
        return pq.ParquetFile(path, coerce_int96_timestamp_unit="us")
    except (pa.ArrowException, OSError):
        verdict.fault("not intact", path)
        return None


def _judge_columns(verdict: Verdict, path: Path, name: str, file: pq.ParquetFile) -> None:
    names = file.schema_arrow.names
    for column in set(names) - set(KINDS[name]):
        if names.count(column) > 1:
            verdict.fault("unused column twice", path, f"column {column} ", "twice", must=False)
    for column, kind in KINDS[name].items():
        if names.count(column) > 1:
            verdict.fault("column twice", path, f"column {column} ", "twice")
        elif column in names:
            type_ = file.schema_arrow.field(column).type
            fits = fit(kind, type_)
            if fits != "good":
                verdict.fault("type", path, f"column {column}:", must=fits == "bad")
                verdict.doubtful = True
            judge_encoding(verdict, path, column, file)
        elif column in NEEDED[name]:
            verdict.fault("column missing", path, f"column {column} ", "missing")
        if any(other.lower() == column and other != column for other in names):
            verdict.fault("twin of a column", path, column, must=False)


def judge_encoding(verdict: Verdict, path: Path, column: str, file: pq.ParquetFile) -> None:
    """A column that Spark's Java may not be able to decode."""
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(index)
            if chunk.path_in_schema.split(".")[0] != column:
                continue
            if chunk.compression in _CODECS:
                verdict.fault("codec", path, chunk.compression, must=False)
                return
            if "BYTE_STREAM_SPLIT" in chunk.encodings:
                verdict.fault("encoding", path, "BYTE_STREAM_SPLIT", must=False)
                return


def _judge_differences(verdict: Verdict, name: str, opened: list[tuple[Path, pq.ParquetFile]]) -> None:
    for column, kind in KINDS[name].items():
        have = [(path, file.schema_arrow.field(column).type) for path, file in opened if _has(file, column)]
        lack = [path for path, file in opened if column not in file.schema_arrow.names]
        if have and lack:
            # A rating of 1.0 in some rows would be invented; what is not known of a user or an item is just that.
            for path in [*lack, have[0][0]]:
                verdict.fault("column in some files", path, column, must=column == "rating")
        stored = {
            (normal_type(kind, file.schema_arrow.field(column).type), _is_int96(file, column))
            for _, file in opened
            if _has(file, column)
        }
        if len(stored) > 1:
            for path, _ in have:
                verdict.fault("types differ", path, must=False)


def _is_int96(file: pq.ParquetFile, column: str) -> bool:
    leaves = (file.schema.column(index) for index in range(len(file.schema)))
    return any(leaf.path == column and leaf.physical_type == "INT96" for leaf in leaves)


def _has(file: pq.ParquetFile, column: str) -> bool:
    return bool(file.schema_arrow.names.count(column) == 1)


def _rows(verdict: Verdict, path: Path, name: str, file: pq.ParquetFile) -> list[tuple[Row, list[Fault]]]:
    """The rows of a file, each with what is wrong with it."""
    columns = {}
    try:
        table = file.read(columns=[column for column in KINDS[name] if column in file.schema_arrow.names])
        for column, kind in KINDS[name].items():
            there = column in table.schema.names
            columns[column] = convert(kind, table.column(column) if there else None, table.num_rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        verdict.fault("not intact", path)
        return []
    found = []
    for index in range(table.num_rows):
        row, faults = [], []
        for column, cells in columns.items():
            cell = cells[index]
            row.append(cell.value)
            if cell.value is BAD:
                tells = str(path), f", row {index + 1}:", f"column {column}:"
                faults.append(Fault(f"value: {KINDS[name][column]}", tells, value=cell.raw))
        found.append((tuple(row), faults))
    return found


def exactly(row: Row) -> Row:
    """A row whose doubles are told apart by their bits."""
    return tuple(_exactly(value) for value in row)


def _exactly(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, str):
        # Java and Python mark what is no UTF-8 alike, but not each by as many marks.
        return re.sub("\ufffd+", "\ufffd", value)
    return tuple(value) if isinstance(value, list) else value
