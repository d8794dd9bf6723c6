"""The columns of a log, its users and its items: mostly plain, with an oddity or two."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from fuzz.odd_columns import ALL_TYPES, FLOATS, INTEGERS, TEXTS, Draw, array, limits, odd_column, odd_value, pick

Log = dict[str, pa.Table]
KEYS = {"users": "user_id", "items": "item_id"}
_IDS = (*INTEGERS[:-1], pa.int64(), pa.int64())
_SECONDS = (
    *(pa.int32(), pa.int64(), pa.int64(), pa.uint32()),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us") for zone in (None, "UTC", "Europe/Berlin")),
)
_RATINGS = (pa.int8(), pa.uint16(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(4, 2), pa.decimal128(20, 1))
_TEXTS = (pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string()))
_YEARS = (pa.int16(), pa.int32(), pa.int64(), pa.uint16(), pa.float32(), pa.float64())
_GENRES = (pa.list_(pa.string()), pa.large_list(pa.string()), pa.list_(pa.large_string()))
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def plain_log(rng: Draw) -> Log:
    """Tables that must be read: all types and values are of those that the README names."""
    count = int(rng.integers(1, 31))
    columns = {
        "user_id": _plain_ids(rng, count),
        "item_id": _plain_ids(rng, count),
        "timestamp": _plain_seconds(rng, pick(rng, _SECONDS), count),
        "rating": _ratings(rng, pick(rng, _RATINGS), count),
    }
    log = {"interactions": _some(rng, columns, ("user_id", "item_id", "timestamp"))}
    if rng.random() < 0.6:
        log["users"] = _users(rng, columns["user_id"])
    if rng.random() < 0.6:
        log["items"] = _items(rng, columns["item_id"])
    return log


def _some(rng: Draw, columns: dict[str, pa.Array], needed: tuple[str, ...]) -> pa.Table:
    """Those that are needed and any of the others, in any order."""
    names = [name for name in columns if name in needed or rng.random() < 0.7]
    return pa.table({name: columns[name] for name in rng.permutation(names).tolist()})


def _plain_ids(rng: Draw, count: int) -> pa.Array:
    type_ = pick(rng, _IDS)
    low, high = limits(type_)
    pool = [value for value in (low, high, -3, 2**53 + 1, 2**53) if low <= value <= high]
    extreme = rng.random() < 0.3
    return array(
        [pick(rng, pool) if extreme and rng.random() < 0.3 else int(rng.integers(9)) for _ in range(count)], type_
    )


def _plain_seconds(rng: Draw, type_: pa.DataType, count: int) -> pa.Array:
    seconds = [int(pick(rng, (0, 1, 1_000_000_000, 1_709_210_096, 2_000_000_000))) for _ in range(count)]
    if not pa.types.is_timestamp(type_):
        return array(seconds, type_)
    unit = _UNITS[type_.unit]
    return array([value * unit + int(rng.integers(unit)) for value in seconds], type_)


def _ratings(rng: Draw, type_: pa.DataType, count: int) -> pa.Array:
    make = int if pa.types.is_integer(type_) else Decimal if pa.types.is_decimal(type_) else float
    return array([make(int(rng.integers(11)) / 2) for _ in range(count)], type_)


def _gaps(rng: Draw, column: pa.Array, share: float) -> pa.Array:
    mask = pa.array(rng.random(len(column)) < share)
    return array(
        [None if gap.as_py() else value for gap, value in zip(mask, column.to_pylist(), strict=True)], column.type
    )


def _keys(rng: Draw, ids: pa.Array) -> pa.Array:
    """Each once; some have no row, some rows are of nobody."""
    known = sorted({*ids.to_pylist(), 10, 11})
    kept = [value for value in rng.permutation(np.array(known, dtype=object)).tolist() if rng.random() < 0.85] or [7]
    low, high = min(kept), max(kept)
    fitting = [type_ for type_ in _IDS if limits(type_)[0] <= low and high <= limits(type_)[1]]
    return array(kept, pick(rng, fitting))


def _texts(rng: Draw, count: int) -> pa.Array:
    type_ = pick(rng, _TEXTS)
    chosen = [pick(rng, TEXTS) for _ in range(count)]
    return _gaps(rng, array([text.encode() if type_ == pa.binary() else text for text in chosen], type_), 0.2)


def _years(rng: Draw, count: int, low: int, high: int) -> pa.Array:
    type_ = pick(rng, _YEARS)
    values: list[Any] = [int(rng.integers(low, high)) for _ in range(count)]
    if type_ in FLOATS:
        values = [float("nan") if rng.random() < 0.2 else float(value) for value in values]
    return _gaps(rng, array(values, type_), 0.2)


def _users(rng: Draw, ids: pa.Array) -> pa.Table:
    keys = _keys(rng, ids)
    columns = {"user_id": keys, "age": _years(rng, len(keys), 0, 151)}
    columns |= {name: _texts(rng, len(keys)) for name in ("gender", "occupation", "zip_code")}
    return _some(rng, columns, ("user_id",))


def _items(rng: Draw, ids: pa.Array) -> pa.Table:
    keys = _keys(rng, ids)
    type_ = pick(rng, _GENRES)
    genres = [[pick(rng, (None, *TEXTS)) for _ in range(int(rng.integers(4)))] for _ in range(len(keys))]
    columns = {
        "item_id": keys,
        "title": _texts(rng, len(keys)),
        "year": _years(rng, len(keys), 1900, 2030),
        "genres": _gaps(rng, pa.array(genres, type_), 0.2),
    }
    return _some(rng, columns, ("item_id",))


def _any_table(rng: Draw, log: Log) -> str:
    return str(pick(rng, (*log, "interactions")))


def _set(log: Log, name: str, column: str, values: pa.Array) -> None:
    log[name] = log[name].set_column(log[name].schema.names.index(column), column, values)


def unused_columns(rng: Draw, log: Log) -> None:
    """Of any type, and of any name."""
    name = _any_table(rng, log)
    for index in range(int(rng.integers(1, 4))):
        column = pick(rng, (f"x{index}", f"Kanal {index}", f"a.b{index}", f"`{index}`", f"event{index}", f"x{index},y"))
        values = odd_column(rng, pick(rng, ALL_TYPES), log[name].num_rows)
        log[name] = log[name].add_column(int(rng.integers(log[name].num_columns + 1)), column, values)


def unused_twins(rng: Draw, log: Log) -> None:
    """Two unused columns whose names differ in case alone."""
    name = _any_table(rng, log)
    for column in ("event", "Event"):
        log[name] = log[name].append_column(column, odd_column(rng, pa.string(), log[name].num_rows))


def wanted_type(rng: Draw, log: Log) -> None:
    """A column that is read, of whatever type."""
    name = _any_table(rng, log)
    _set(log, name, pick(rng, log[name].schema.names), odd_column(rng, pick(rng, ALL_TYPES), log[name].num_rows))


def wanted_value(rng: Draw, log: Log) -> None:
    """A value or two that are odd, or missing, in a column that is read."""
    name = _any_table(rng, log)
    index = int(rng.integers(log[name].num_columns))
    column, type_ = log[name].schema.names[index], log[name].schema.types[index]
    values = _raw(log[name].column(index).combine_chunks())
    for _ in range(int(rng.integers(1, 3)) if values else 0):
        values[int(rng.integers(len(values)))] = None if rng.random() < 0.3 else odd_value(rng, type_)
    _set(log, name, column, array(values, type_))


def _raw(column: pa.Array) -> list[Any]:
    """What :func:`array` makes the column of."""
    if pa.types.is_timestamp(column.type):
        return list(column.view(pa.int64()).to_pylist())
    return list(column.to_pylist()) if not pa.types.is_temporal(column.type) else [None] * len(column)


def twin_of_wanted(rng: Draw, log: Log) -> None:
    """A column beside one that is read, whose name differs in case alone."""
    name = _any_table(rng, log)
    column = pick(rng, log[name].schema.names)
    twin = pick(rng, (column.upper(), column.title()))
    if twin != column:
        log[name] = log[name].append_column(twin, odd_column(rng, pa.int64(), log[name].num_rows))


def twice(rng: Draw, log: Log) -> None:
    """Two columns of the same name."""
    name = _any_table(rng, log)
    index = int(rng.integers(log[name].num_columns))
    log[name] = log[name].append_column(log[name].schema.names[index], log[name].column(index))


def renamed(rng: Draw, log: Log) -> None:
    """A column under another name, or in capitals."""
    name = _any_table(rng, log)
    names = list(log[name].schema.names)
    index = int(rng.integers(len(names)))
    names[index] = pick(
        rng, (names[index].upper(), f"{names[index]}s", f" {names[index]}", "Zahl", names[index].title())
    )
    log[name] = log[name].rename_columns(names)


def repeated_key(rng: Draw, log: Log) -> None:
    """A row of a user or an item that has one already."""
    name = pick(rng, [name for name in log if name in KEYS] or ["interactions"])
    log[name] = pa.concat_tables([log[name], log[name].slice(0, 1)])


def unknown_values(rng: Draw, log: Log) -> None:
    """A column without any value, of its own type or as pandas writes it."""
    name = _any_table(rng, log)
    column = pick(rng, log[name].schema.names)
    type_ = pick(rng, (pa.null(), log[name].schema.types[log[name].schema.names.index(column)]))
    _set(log, name, column, array([None] * log[name].num_rows, type_))


def no_rows(rng: Draw, log: Log) -> None:
    """A table without rows."""
    name = pick(rng, (*KEYS, "users", "items", "interactions"))
    if name in log:
        log[name] = log[name].slice(0, 0)


HARMLESS: tuple[Callable[[Draw, Log], None], ...] = (unused_columns, unused_columns, unused_twins)
ODD: tuple[Callable[[Draw, Log], None], ...] = (
    *(wanted_type, wanted_type, wanted_type, wanted_value, wanted_value, wanted_value, wanted_value),
    *(twin_of_wanted, twice, renamed, repeated_key, unknown_values, unknown_values, no_rows),
)
