"""Columns of every Arrow type that Parquet can hold, with the values that go wrong."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

TEXTS = (
    "",
    " ",
    "M",
    "Zürich",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202eback\u202c",
    "\U0001f3ac film",
    "e\u0301",
    "nul\x00byte",
    "two\nlines",
    "null",
    "NaN",
    "-1",
    "x" * 3000,
)
# Not UTF-8: a lone byte, a surrogate by itself, a text that breaks off.
BYTES = (b"", b"plain", "Zürich".encode(), b"\xff", b"\xed\xa0\x80", b"caf\xc3", b"\x00\x01")
DECIMALS = (pa.decimal128(5, 2), pa.decimal128(18, 0), pa.decimal128(38, 10), pa.decimal256(60, 3), pa.decimal32(6, 1))
TIMES = tuple(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "America/Lima"))
INTEGERS = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
FLOATS = (pa.float16(), pa.float32(), pa.float64())
WORDS = (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))
BINARIES = (pa.binary(), pa.large_binary(), pa.binary(4), pa.dictionary(pa.int16(), pa.binary()))
LISTS = (
    pa.list_(pa.string()),
    pa.large_list(pa.large_string()),
    pa.list_(pa.string(), 2),
    pa.list_(pa.dictionary(pa.int32(), pa.string())),
    pa.list_(pa.int64()),
    pa.list_(pa.null()),
    pa.list_(pa.list_(pa.string())),
)
OTHERS = (
    pa.bool_(),
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time32("ms"),
    pa.time64("us"),
    pa.time64("ns"),
    pa.duration("s"),
    pa.duration("ns"),
    pa.struct([("x", pa.int64()), ("y", pa.string())]),
    pa.struct([("user_id", pa.timestamp("ns")), ("timestamp", pa.timestamp("us"))]),
    pa.map_(pa.string(), pa.float16()),
    pa.null(),
    pa.uuid(),
)
ALL_TYPES = (*DECIMALS, *TIMES, *INTEGERS, *FLOATS, *WORDS, *BINARIES, *LISTS, *OTHERS)
_DAY_MS = 86_400_000
Draw = np.random.Generator


def pick(rng: Draw, choices: Sequence[Any]) -> Any:
    """One of them, as it is: numpy's own choice makes arrays of them."""
    return choices[int(rng.integers(len(choices)))]


def odd_column(rng: Draw, type_: pa.DataType, count: int) -> pa.Array:
    """Values of a type, its extremes among them, with no nulls, some, or nothing else."""
    share = pick(rng, (0.0, 0.0, 0.3, 1.0))
    mask = rng.random(count) < share
    return array([None if gap else odd_value(rng, type_) for gap in mask], type_)


def array(values: Sequence[Any], type_: pa.DataType) -> pa.Array:
    """Times of day, moments and durations as numbers of their unit, which Python's own types cannot all hold."""
    if pa.types.is_dictionary(type_):
        return pa.array(values, type_.value_type).dictionary_encode().cast(type_)
    if pa.types.is_float16(type_):
        return pa.array([None if value is None else np.float16(value) for value in values], type_)
    if _is_counted(type_):
        width = pa.int32() if type_.bit_width == 32 else pa.int64()
        return pa.array(values, width).view(type_)
    if isinstance(type_, pa.BaseExtensionType):
        return type_.wrap_array(pa.array(values, type_.storage_type))
    return pa.array(values, type_)


def _is_counted(type_: pa.DataType) -> bool:
    return pa.types.is_temporal(type_)


def odd_value(rng: Draw, type_: pa.DataType) -> Any:
    """One value, often one at which something ends."""
    for fits, draw in _DRAWS.items():
        if fits(type_):
            return draw(rng, type_)
    raise AssertionError(type_)


def limits(type_: pa.DataType) -> tuple[int, int]:
    """The least and the greatest of an integer type."""
    signed = pa.types.is_signed_integer(type_)
    bits = type_.bit_width - signed
    return (-(2**bits) if signed else 0), 2**bits - 1


def _integer(rng: Draw, type_: pa.DataType) -> int:
    low, high = limits(type_)
    value = pick(rng, (low, high, 0, 1, -1, 2**31, 2**53 + 1, int(rng.integers(100))))
    return int(value) if low <= value <= high else 7


def _float(rng: Draw, type_: pa.DataType) -> float:
    with np.errstate(over="ignore"):
        chosen = pick(rng, (float("nan"), float("inf"), -float("inf"), -0.0, 3.5, 1e30, 2.0**53, 5e-324, 41.0))
        return float(type_.to_pandas_dtype()(chosen))


def _decimal(rng: Draw, type_: pa.DataType) -> Decimal:
    most = 10**type_.precision - 1
    unscaled = pick(rng, (most, -most, 0, int(rng.integers(1000))))
    return Decimal((int(unscaled < 0), tuple(int(digit) for digit in str(abs(unscaled))), -type_.scale))


def _counted(rng: Draw, type_: pa.DataType) -> int:
    if pa.types.is_date64(type_):
        return int(rng.integers(-30_000, 30_000)) * _DAY_MS
    if pa.types.is_date32(type_):
        return int(rng.integers(-800_000, 800_000))
    if pa.types.is_time(type_):
        return int(rng.integers(80_000))
    extremes = (2**62, -(2**62)) if pa.types.is_duration(type_) or type_.unit in ("us", "ns") else (2**33, -(2**33))
    return int(pick(rng, (0, -1, 10**9, *extremes)))


def _list(rng: Draw, type_: pa.DataType) -> list[Any]:
    size = type_.list_size if pa.types.is_fixed_size_list(type_) else int(rng.integers(4))
    inner = type_.value_type
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    return [None if rng.random() < 0.2 else odd_value(rng, inner) for _ in range(size)]


def _text(rng: Draw, _type: pa.DataType) -> str:
    return str(pick(rng, TEXTS))


def _bytes(rng: Draw, type_: pa.DataType) -> bytes:
    chosen = bytes(pick(rng, BYTES))
    return (
        chosen.ljust(type_.byte_width, b"\xfe")[: type_.byte_width] if pa.types.is_fixed_size_binary(type_) else chosen
    )


def _struct(rng: Draw, type_: pa.DataType) -> dict[str, Any]:
    fields = [type_.field(index) for index in range(type_.num_fields)]
    return {field.name: _inner(rng, field.type) for field in fields}


def _inner(rng: Draw, type_: pa.DataType) -> Any:
    return dt.datetime(2024, 1, 1) if pa.types.is_timestamp(type_) else odd_value(rng, type_)


def _map(rng: Draw, type_: pa.DataType) -> list[tuple[str, Any]]:
    return [(f"key{index}", np.float16(index)) for index in range(int(rng.integers(3)))]


def _any_of(*tests: Callable[[pa.DataType], bool]) -> Callable[[pa.DataType], bool]:
    return lambda type_: any(test(type_) for test in tests)


_DRAWS: dict[Callable[[pa.DataType], bool], Callable[[Draw, pa.DataType], Any]] = {
    lambda type_: isinstance(type_, pa.BaseExtensionType): lambda rng, _: rng.bytes(16),
    pa.types.is_dictionary: lambda rng, type_: odd_value(rng, type_.value_type),
    pa.types.is_integer: _integer,
    pa.types.is_floating: _float,
    pa.types.is_decimal: _decimal,
    pa.types.is_boolean: lambda rng, _: bool(rng.integers(2)),
    pa.types.is_temporal: _counted,
    _any_of(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view): _text,
    _any_of(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary): _bytes,
    pa.types.is_map: _map,
    _any_of(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list): _list,
    pa.types.is_struct: _struct,
    pa.types.is_null: lambda _rng, _type: None,
}
