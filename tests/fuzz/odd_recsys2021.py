"""Files of the RecSys Challenge 2021 in Parquet: mostly plain, with an oddity or two."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.odd_columns import ALL_TYPES, FLOATS, INTEGERS, TEXTS, Draw, array, limits, odd_column, odd_value, pick
from fuzz.odd_files import Made, draw_options, split_rows, write_file
from fuzz.odd_places import damage_one
from tandem.sources.recsys2021_format import RAW_COLUMNS, RawColumn

_WORDS = (pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()))
_MISSPELT = {"text_tokens": "text_ tokens", "retweet_timestamp": "retweet_timestampe"}
_FLAGS = ("true", "False", "1", "0", "")


def write_recsys2021(parent: Path, seed: int) -> Made:
    """Both halves in a new folder of ``parent``; the same seed gives the same bytes."""
    rng = np.random.default_rng(seed)
    made = Made(parent / pick(rng, ("data", "my data", "a [b] 100%")), [])
    halves = {half: _plain(rng, int(rng.integers(1, 9))) for half in ("train", "test")}
    for _ in range(int(rng.choice(3, p=(0.4, 0.45, 0.15)))):
        oddity, half = pick(rng, _ODD), pick(rng, ("train", "test"))
        halves[half] = oddity(rng, halves[half])
        made.what.append(oddity.__name__)
    for half, table in halves.items():
        _write_half(rng, made, made.folder / half, table)
    if rng.random() < 0.1:
        how, made.damage = damage_one(rng, made.folder)
        made.what.append(how)
    return made


def _write_half(rng: Draw, made: Made, place: Path, table: pa.Table) -> None:
    files = split_rows(rng, table)
    if rng.random() < 0.2:
        made.what.append("order_differs")
        files = {path: part.select(rng.permutation(part.num_columns).tolist()) for path, part in files.items()}
    if rng.random() < 0.2:
        made.what.append("types_differ")
        other = _plain(rng, 2)
        files["other"] = other.rename_columns([_MISSPELT.get(name, name) for name in other.schema.names])
    for path, part in files.items():
        write_file(place / path, part, draw_options(rng, made, part))
    if rng.random() < 0.1:
        made.what.append("hidden")
        pq.write_table(table, place / pick(rng, ("_part.parquet", ".part.parquet", ".part.parquet.crc")))


def _plain(rng: Draw, count: int) -> pa.Table:
    names = [column.name for column in RAW_COLUMNS]
    columns = [_plain_column(rng, column, count) for column in RAW_COLUMNS]
    table = pa.Table.from_arrays(columns, names)
    return table.select(rng.permutation(names).tolist()) if rng.random() < 0.3 else table


def _plain_column(rng: Draw, column: RawColumn, count: int) -> pa.Array:
    if column.kind == "text":
        type_, make = pick(rng, (*_WORDS, pa.int64())), _some_text
    elif column.kind in ("flag", "flag text"):
        type_, make = pick(rng, (*_WORDS, pa.bool_(), pa.int8(), pa.int64())), _some_flag
    else:
        type_, make = pick(rng, (*_WORDS, pa.int64(), pa.int64(), pa.int32(), pa.uint32(), pa.float64())), _some_count
    values = [None if rng.random() < 0.1 else make(rng, type_) for _ in range(count)]
    return array(values, type_)


def _some_text(rng: Draw, type_: pa.DataType) -> Any:
    return int(rng.integers(100)) if type_ in INTEGERS else _typed(type_, str(pick(rng, TEXTS)))


def _some_flag(rng: Draw, type_: pa.DataType) -> Any:
    number = int(rng.integers(2))
    return bool(number) if type_ == pa.bool_() else number if type_ in INTEGERS else _typed(type_, pick(rng, _FLAGS))


def _some_count(rng: Draw, type_: pa.DataType) -> Any:
    number = int(pick(rng, (0, 7, 1_600_000_000)))
    if type_ in FLOATS:
        return float("nan") if rng.random() < 0.1 else float(number)
    return number if type_ in INTEGERS else _typed(type_, str(number))


def _typed(type_: pa.DataType, text: str) -> str | bytes:
    return text.encode() if type_ == pa.binary() else text


def wanted_type(rng: Draw, table: pa.Table) -> pa.Table:
    """A column of whatever type."""
    index = int(rng.integers(table.num_columns))
    values = odd_column(rng, pick(rng, ALL_TYPES), table.num_rows)
    return table.set_column(index, table.schema.names[index], values)


def wanted_value(rng: Draw, table: pa.Table) -> pa.Table:
    """A number that is none, or has no place in what it becomes."""
    column = pick(rng, [column.name for column in RAW_COLUMNS if column.kind != "text"])
    index = table.schema.names.index(column)
    type_ = pick(rng, (pa.string(), pa.float64(), pa.float32(), pa.int64(), pa.uint64(), pa.int8()))
    values = [_odd_number(rng, type_) for _ in range(table.num_rows)]
    keep = int(rng.integers(table.num_rows))
    return table.set_column(
        index, column, array([value if row == keep else None for row, value in enumerate(values)], type_)
    )


def _odd_number(rng: Draw, type_: pa.DataType) -> Any:
    if type_ == pa.string():
        return pick(rng, ("-1", "1.5", "1e3", "9" * 18, "9" * 19, "maybe", "TRUE", " 1", "\u0661", "1\n", "nul\x00"))
    if type_ in INTEGERS:
        return int(pick(rng, (*limits(type_), 0, 1, 2)))
    return float(pick(rng, (2.0**62, 2.0**63, 1e18, 0.5, odd_value(rng, type_))))


def one_more(rng: Draw, table: pa.Table) -> pa.Table:
    """A column that is none of the challenge's."""
    name = pick(rng, ("extra", "TWEET_ID", "tweet_id", "__index_level_0__"))
    return table.append_column(name, odd_column(rng, pick(rng, ALL_TYPES), table.num_rows))


def one_less(rng: Draw, table: pa.Table) -> pa.Table:
    return table.remove_column(int(rng.integers(table.num_columns)))


def capitals(rng: Draw, table: pa.Table) -> pa.Table:
    """A column whose name is written otherwise."""
    names = list(table.schema.names)
    index = int(rng.integers(len(names)))
    names[index] = pick(rng, (names[index].upper(), f"{names[index]} "))
    return table.rename_columns(names)


def misspelt(_rng: Draw, table: pa.Table) -> pa.Table:
    """As some published conversions spell the columns."""
    return table.rename_columns([_MISSPELT.get(name, name) for name in table.schema.names])


def no_values(rng: Draw, table: pa.Table) -> pa.Table:
    """A column without any value, as pandas writes it."""
    index = int(rng.integers(table.num_columns))
    return table.set_column(index, table.schema.names[index], pa.nulls(table.num_rows))


def no_rows(_rng: Draw, table: pa.Table) -> pa.Table:
    return table.slice(0, 0)


_ODD: tuple[Callable[[Draw, pa.Table], pa.Table], ...] = (
    *(wanted_type, wanted_type, wanted_value, wanted_value, wanted_value, wanted_value),
    *(one_more, one_less, capitals, misspelt, misspelt, no_values, no_values, no_rows),
)
