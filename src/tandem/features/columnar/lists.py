"""Lists in a row: split from texts, and their ids kept as a bag, as a sequence, or as the most frequent of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.errors import UserError
from tandem.features.spec import UNKNOWN

Ids = npt.NDArray[np.int32]
_LARGEST = np.iinfo(np.int32).max


def split_list(texts: pa.Array, separator: str = "\t") -> pa.Array:
    """The values of texts such as ``"a\\tb"``: list<string> [n], empty for null and the empty text; no empty values."""
    lists = pc.split_pattern(texts.cast(pa.string()).fill_null(""), separator)
    values = lists.flatten()
    kept = pc.not_equal(values, "")
    rows = pc.list_parent_indices(lists).filter(kept).to_numpy(zero_copy_only=False)
    return _lists(np.bincount(rows, minlength=len(texts)), values.filter(kept))


def is_list(type_: pa.DataType) -> bool:
    """Whether a column holds lists."""
    kinds = pa.types
    return bool(kinds.is_list(type_) or kinds.is_large_list(type_) or kinds.is_fixed_size_list(type_))


@dataclass(frozen=True)
class Lists:
    """Values of all rows one after the other; rows: of each value, ascending."""

    values: pa.Array
    rows: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: pa.Array, name: str) -> "Lists":
        """The lists of a column, none for null; ``UserError``, which says the feature's name, where it has none."""
        if pa.types.is_null(column.type):
            return cls(pa.nulls(0), np.zeros(0, np.int64))
        if not is_list(column.type):
            raise UserError(f"feature {name}: its column holds {column.type}, and should hold lists")
        lists = column.cast(pa.list_(column.type.value_type))
        lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        return cls(lists.flatten(), np.repeat(np.arange(len(lists)), lengths))


def bags(lists: Lists, ids: Ids, size: int, count: int) -> pa.Array:
    """list<int32> [count]: the known ids of each list, ascending, each once. ids: of the values, below ``size``."""
    known = ids > UNKNOWN
    keys = np.unique(lists.rows[known] * np.int64(size) + ids[known])
    return _lists(np.bincount(keys // size, minlength=count), pa.array((keys % size).astype(np.int32)))


def sequences(lists: Lists, ids: Ids, length: int, count: int) -> pa.Array:
    """list<int32> [count], each of ``length``: the last known ids of each list, and 0 behind them."""
    known = ids > UNKNOWN
    rows, ids = lists.rows[known], ids[known]
    counts = np.bincount(rows, minlength=count)
    first = np.cumsum(counts) - counts
    place = np.arange(len(rows)) - first[rows] - np.maximum(counts - length, 0)[rows]
    matrix = np.full((count, length), UNKNOWN, np.int32)
    kept = place >= 0
    matrix[rows[kept], place[kept]] = ids[kept]
    return rectangular(matrix)


def most_frequent(lists: Lists, ids: Ids, count: int) -> Ids:
    """The smallest known id of each list, int32 [count]; 0 where it has none."""
    found = np.full(count, _LARGEST, np.int32)
    known = ids > UNKNOWN
    np.minimum.at(found, lists.rows[known], ids[known])
    return np.where(found == _LARGEST, UNKNOWN, found).astype(np.int32)


def rectangular(matrix: npt.NDArray[Any]) -> pa.Array:
    """list<int32> of the rows of a matrix."""
    return _lists(np.full(len(matrix), matrix.shape[1]), pa.array(matrix.ravel()))


def _lists(lengths: npt.NDArray[np.integer[Any]], values: pa.Array) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values)
