"""How the rows of a table become files: folders, names, links, encodings, and now and then damage."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.odd_columns import ALL_TYPES, Draw, odd_column, pick
from fuzz.odd_places import HARMLESS_PLACES, ODD_PLACES, damage_one
from fuzz.odd_tables import HARMLESS, ODD, plain_log

_NAMES = (
    *(
        "part-{}.parquet",
        "part-{}.snappy.parquet",
        "Tag {}.parquet",
        "[{}].parquet",
        "a%20b{}.parquet",
        "100%{}.parquet",
    ),
    *("#{}.parquet", "ü\u4e2d{}.parquet", "{{{},x}}.parquet", "what?{}.parquet", "x*{}.parquet", "a=b,c{}.parquet"),
    *(
        "it's {}.parquet",
        'say "{}".parquet',
        "a;b&c{}.parquet",
        "a:b{}.parquet",
        "back\\slash{}.parquet",
        "+{}.parquet",
    ),
)
_FOLDERS = ("log", "my log", "a [b] c", "100%", "50%20off", "#1", "{a,b}", "Übung", "what?", "x*y", "it's", "a:b")
_PARTITIONS = ("dt=2024-01-0{}", "day={}", "user_id={}", "rating={}", "x=%20{}", "plain{}")
_CODECS = ("snappy", "gzip", "zstd", "lz4", "none")


@dataclass
class Made:
    """What was written for a seed.

    what: the names of the oddities; damage: harms one of the files, to be called when the intact ones were judged.
    """

    folder: Path
    what: list[str]
    damage: Callable[[], Path] | None = None


def write_log(parent: Path, seed: int) -> Made:
    """A log in a new folder of ``parent``; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    log = plain_log(rng)
    what = []
    for oddity in HARMLESS:
        if rng.random() < 0.25:
            oddity(rng, log)
            what.append(oddity.__name__)
    for _ in range(int(rng.choice(3, p=(0.45, 0.4, 0.15)))):
        oddity = pick(rng, ODD)
        oddity(rng, log)
        what.append(oddity.__name__)
    made = Made(parent / pick(rng, _FOLDERS) if rng.random() < 0.3 else parent / "log", what)
    made.folder.mkdir(parents=True)
    for name, table in log.items():
        _write_table(rng, made, name, table)
    if rng.random() < 0.08:
        how, made.damage = damage_one(rng, made.folder)
        what.append(how)
    return made


def _write_table(rng: Draw, made: Made, name: str, table: pa.Table) -> None:
    place = made.folder / f"{name}.parquet"
    options = draw_options(rng, made, table)
    if rng.random() < 0.5:
        target = place if rng.random() < 0.9 else made.folder.parent / f"elsewhere-{name}"
        write_file(target, table, options)
        if target != place:
            place.symlink_to(target)
        return
    files = split_rows(rng, table)
    for oddity in _FILE_HARMLESS:
        if rng.random() < 0.12:
            files = oddity(rng, files)
            made.what.append(oddity.__name__)
    if rng.random() < 0.15:
        odd = pick(rng, _FILE_ODD)
        files = odd(rng, files)
        made.what.append(odd.__name__)
    for path, part in files.items():
        write_file(place / path, part, options if rng.random() < 0.8 else draw_options(rng, made, part))
    for odd_place in HARMLESS_PLACES:
        if rng.random() < 0.08:
            odd_place(rng, place)
            made.what.append(odd_place.__name__)
    if rng.random() < 0.08:
        odd_place = pick(rng, ODD_PLACES)
        odd_place(rng, place)
        made.what.append(odd_place.__name__)


def write_file(path: Path, table: pa.Table, options: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    named = {**options, "allow_truncated_timestamps": True}
    if named.get("version", "2.6") != "2.6":  # which know no nanoseconds
        named["coerce_timestamps"] = "us"
    if isinstance(named.get("compression"), dict) and not set(named["compression"]) <= set(table.schema.names):
        named["compression"] = "snappy"
    encodings = named.pop("encodings", None)
    if encodings is not None:
        named |= {"use_dictionary": False, "column_encoding": _encodings(encodings, table)}
    pq.write_table(table, path, **named)


def _encodings(family: str, table: pa.Table) -> dict[str, str] | None:
    """The family's encoding of each column that has one."""
    chosen = {}
    for column in table.schema:
        if table.schema.names.count(column.name) > 1:
            continue
        number = pa.types.is_integer(column.type) and column.type.bit_width >= 32
        if family == "split" and (number or column.type in (pa.float32(), pa.float64())):
            chosen[column.name] = "BYTE_STREAM_SPLIT"
        elif family == "delta" and number:
            chosen[column.name] = "DELTA_BINARY_PACKED"
        elif family in ("delta", "lengths") and column.type in (pa.string(), pa.large_string(), pa.binary()):
            chosen[column.name] = "DELTA_BYTE_ARRAY" if family == "delta" else "DELTA_LENGTH_BYTE_ARRAY"
    return chosen or None


def draw_options(rng: Draw, made: Made, table: pa.Table) -> dict[str, Any]:
    """How Parquet is written; mostly as pandas or Spark would."""
    options: dict[str, Any] = {"compression": pick(rng, _CODECS)}
    if rng.random() < 0.5:
        options |= {
            "version": pick(rng, ("1.0", "2.4", "2.6")),
            "data_page_version": pick(rng, ("1.0", "2.0")),
            "use_dictionary": bool(rng.integers(2)),
            "write_statistics": bool(rng.integers(2)),
            "store_schema": bool(rng.integers(4)),
            "write_page_checksum": bool(rng.integers(2)),
            "write_page_index": bool(rng.integers(2)),
            "store_decimal_as_integer": bool(rng.integers(2)),
        }
        if rng.random() < 0.4:
            options |= {"row_group_size": int(rng.integers(1, 8)), "data_page_size": 16, "write_batch_size": 2}
    if rng.random() < 0.08:
        options["use_deprecated_int96_timestamps"] = True
        made.what.append("int96")
    if rng.random() < 0.12:
        options["encodings"] = pick(rng, ("split", "delta", "lengths"))
        made.what.append(options["encodings"])
    if rng.random() < 0.01:
        options["compression"] = "brotli"
        made.what.append("brotli")
    if rng.random() < 0.03 and len(set(table.schema.names)) == table.num_columns:
        options["compression"] = {pick(rng, table.schema.names): "brotli"}
        made.what.append("brotli in a column")
    return options


def split_rows(rng: Draw, table: pa.Table) -> dict[str, pa.Table]:
    count = int(rng.integers(1, 5))
    ends = sorted(int(end) for end in rng.integers(0, table.num_rows + 1, count - 1))
    starts = [0, *ends]
    names = [pick(rng, _NAMES) if rng.random() < 0.25 else _NAMES[0] for _ in starts]
    pairs = zip(starts, [*ends, table.num_rows], strict=True)
    return {names[index].format(index): table.slice(start, end - start) for index, (start, end) in enumerate(pairs)}


def partitioned(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    folder = pick(rng, _PARTITIONS)
    return {f"{folder.format(int(rng.integers(3)))}/{path}": table for path, table in files.items()}


def order_differs(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    return {path: table.select(rng.permutation(table.num_columns).tolist()) for path, table in files.items()}


def nullability_differs(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Columns without nulls are required in some files."""
    return {path: _required(table) if rng.random() < 0.5 else table for path, table in files.items()}


def _required(table: pa.Table) -> pa.Table:
    fields = [
        column.with_nullable(table.column(index).null_count > 0 or pa.types.is_null(column.type))
        for index, column in enumerate(table.schema)
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def unused_differs(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Some files have a column more, and not of one type."""
    return {
        path: table.append_column("extra", odd_column(rng, pick(rng, ALL_TYPES), table.num_rows))
        if rng.random() < 0.6
        else table
        for path, table in files.items()
    }


def empty_file(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """One without rows, whose columns are of no concern."""
    first = next(iter(files.values()))
    empty = pick(rng, (first.slice(0, 0), pa.table({"something": pa.array([], pa.timestamp("ns"))})))
    return {**files, pick(rng, ("zero.parquet", "aaa.parquet")): empty}


def types_differ(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Whole numbers are wider in some files, texts of another type."""
    wider = {pa.int8(): pa.int16(), pa.int16(): pa.int32(), pa.int32(): pa.int64(), pa.uint32(): pa.int64()}
    wider |= {pa.float32(): pa.float64(), pa.string(): pa.large_string(), pa.large_string(): pa.binary()}
    wider |= {pa.dictionary(pa.int32(), pa.string()): pa.string(), pa.int64(): pa.float64()}
    found = {}
    for path, table in files.items():
        other = pa.schema([column.with_type(wider.get(column.type, column.type)) for column in table.schema])
        try:
            found[path] = table.cast(other) if rng.random() < 0.5 else table
        except pa.ArrowInvalid:  # 2**53 + 1 is no double
            found[path] = table
    return found


def lacks_one(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """Some files lack a column that others have."""
    names = next(iter(files.values())).schema.names
    lost = int(rng.integers(len(names)))
    return {
        path: table.remove_column(lost) if rng.random() < 0.5 and lost < table.num_columns else table
        for path, table in files.items()
    }


def null_in_one(rng: Draw, files: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """A column without a value in some files, as pandas writes it there."""
    index = int(rng.integers(next(iter(files.values())).num_columns))
    return {
        path: table.set_column(index, table.schema.names[index], pa.nulls(table.num_rows))
        if rng.random() < 0.5 and index < table.num_columns
        else table
        for path, table in files.items()
    }


_FILE_HARMLESS = (partitioned, order_differs, nullability_differs, unused_differs, empty_file)
_FILE_ODD = (types_differ, types_differ, lacks_one, null_in_one)
