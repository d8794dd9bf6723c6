"""What a value of each kind of column is, by the documented rules."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa

KINDS: dict[str, dict[str, str]] = {
    "interactions": {"user_id": "id", "item_id": "id", "rating": "weight", "timestamp": "seconds"},
    "users": {"user_id": "id", "gender": "text", "age": "number", "occupation": "text", "zip_code": "text"},
    "items": {"item_id": "id", "title": "text", "year": "number", "genres": "texts"},
}
BAD = object()
_LATEST = 99_999_999_999
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
Fits = Literal["good", "either", "bad"]


@dataclass(frozen=True)
class Cell:
    """A value as it must be read, ``BAD`` where none is possible; and what a line about it shows."""

    value: Any
    raw: Any = None


def fit(kind: str, type_: pa.DataType) -> Fits:
    """Whether a column of this type must be read, may be read or refused, or must be refused."""
    good, either = _FITS[kind]
    if good(type_):
        return "good"
    # A column of nothing lacks a value in each row, where one is needed.
    return "either" if either(type_) or pa.types.is_null(type_) else "bad"


def _is_whole(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) and not pa.types.is_uint64(type_))


def _is_real(type_: pa.DataType) -> bool:
    return type_ in (pa.float32(), pa.float64())


def _is_small_decimal(type_: pa.DataType) -> bool:
    return bool(pa.types.is_decimal(type_) and type_.precision <= 38)


def _is_text(type_: pa.DataType) -> bool:
    inner = type_.value_type if pa.types.is_dictionary(type_) else type_
    return inner in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())


def _is_texts(type_: pa.DataType) -> bool:
    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_)) and _is_text(type_.value_type)


def _is_list(type_: pa.DataType) -> bool:
    if not (pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)):
        return False
    inner = type_.value_type
    return _is_text(inner) or bool(pa.types.is_null(inner) or pa.types.is_integer(inner))


def _is_moment(type_: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(type_) and type_.unit != "ns")


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_simple(type_: pa.DataType) -> bool:
    return _is_number(type_) or _is_text(type_) or bool(pa.types.is_boolean(type_) or pa.types.is_date(type_))


def _is_maybe_number(type_: pa.DataType) -> bool:
    return _is_whole(type_) or _is_real(type_) or _is_small_decimal(type_)


# What is read of the second of each pair depends on more than these rules say: it is read or refused.
_FITS: dict[str, tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], bool]]] = {
    "id": (_is_whole, _is_simple),
    "seconds": (
        lambda type_: _is_whole(type_) or _is_moment(type_),
        lambda type_: _is_simple(type_) or bool(pa.types.is_timestamp(type_)),
    ),
    "weight": (_is_maybe_number, _is_simple),
    "number": (lambda type_: _is_maybe_number(type_) or bool(pa.types.is_null(type_)), _is_simple),
    "text": (
        lambda type_: _is_text(type_) or bool(pa.types.is_null(type_)),
        lambda type_: _is_simple(type_) or bool(pa.types.is_fixed_size_binary(type_)),
    ),
    "texts": (
        lambda type_: _is_texts(type_) or bool(pa.types.is_null(type_)),
        lambda type_: _is_list(type_) or _is_text(type_),
    ),
}


def normal_type(kind: str, type_: pa.DataType) -> str:
    """Types that are one and the same to whoever reads the file's bytes have one name."""
    if kind == "texts" or pa.types.is_null(type_):
        return str(pa.types.is_null(type_))
    return "text" if _is_text(type_) else str(type_)


def convert(kind: str, column: pa.ChunkedArray | None, count: int) -> list[Cell]:
    """The values of a column of ``count`` rows; of one that is not there what takes its place."""
    if column is None:
        return [Cell({"weight": 1.0, "texts": []}.get(kind))] * count
    if pa.types.is_timestamp(column.type):
        unit = _UNITS[column.type.unit]
        return [_seconds(value, unit) for value in column.cast(pa.int64(), safe=False).to_pylist()]
    if pa.types.is_float16(column.type):
        return [_CELLS[kind](None if value is None else float(value)) for value in column.to_pylist()]
    return [_CELLS[kind](value) for value in column.to_pylist()]


def _seconds(value: Any, unit: int = 1) -> Cell:
    whole = _whole(value)
    if whole is None or whole is BAD:
        return Cell(BAD, value)
    seconds = whole // unit
    return Cell(seconds if 0 <= seconds <= _LATEST else BAD, value)


def _whole(value: Any) -> Any:
    """A number without a fraction as an integer, nothing as nothing."""
    if value is None or _is_nan(value):
        return None
    if isinstance(value, float | Decimal):
        return int(value) if math.isfinite(value) and value == int(value) else BAD
    return value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _id(value: Any) -> Cell:
    whole = _whole(value)
    if whole is None or whole is BAD or not -(2**63) <= whole < 2**63:
        return Cell(BAD, value)
    return Cell(whole, value)


def _number(value: Any) -> Cell:
    if value is None or _is_nan(value):
        return Cell(None, value)
    return Cell(float(value) if math.isfinite(value) else BAD, value)


def _text(value: Any) -> Cell:
    if value is None or len(value) == 0:
        return Cell(None)
    try:
        return Cell(value if isinstance(value, str) else value.decode())
    except UnicodeDecodeError:
        return Cell(BAD, value)


def _texts(value: Any) -> Cell:
    cells = [_text(text).value for text in value or []]
    return Cell(BAD if BAD in cells else [cell for cell in cells if cell is not None], value)


_CELLS: dict[str, Callable[[Any], Cell]] = {
    "id": _id,
    "seconds": _seconds,
    "weight": _number,
    "number": _number,
    "text": _text,
    "texts": _texts,
}
