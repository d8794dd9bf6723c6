"""Raw columns as they come: looked up by name, and turned into numbers as Spark's casts do."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.errors import UserError, did_you_mean

Columns: TypeAlias = Mapping[str, Any] | Any
"""Rows by column: Arrow's record batch or table, or name -> an Arrow or NumPy array or a list, all of one length."""

Doubles = npt.NDArray[np.float64]


class Sources:
    """The columns of some rows, each an Arrow array."""

    def __init__(self, columns: Columns) -> None:
        """Look at the columns; ``UserError`` where they are not of one length."""
        named = columns.items() if isinstance(columns, Mapping) else zip(columns.column_names, columns, strict=True)
        self._columns = {name: _array(column) for name, column in named}
        lengths = {name: len(column) for name, column in self._columns.items()}
        self.rows = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != self.rows:
                first = next(iter(lengths))
                raise UserError(f"column {name} has {length} rows, column {first} {self.rows}: give as many of each")

    def column(self, name: str, feature: str) -> pa.Array:
        """The column that a feature reads; ``UserError`` where there is none."""
        if name not in self._columns:
            raise UserError(
                f"there is no column {name}, which the feature {feature} reads; {did_you_mean(name, self._columns)}"
            )
        return self._columns[name]

    def numbers(self, name: str, feature: str) -> Doubles:
        """The column as doubles, NaN where it has no value; ``UserError`` where it holds no numbers."""
        column = self.column(name, feature)
        if not is_number(column.type):
            raise UserError(
                f"column {name}, which the feature {feature} reads, holds {column.type}: convert it to numbers first"
            )
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def is_number(type_: pa.DataType) -> bool:
    """Whether a cast to double keeps the value as Spark's does."""
    kinds = pa.types
    return bool(kinds.is_integer(type_) or kinds.is_floating(type_) or kinds.is_boolean(type_) or kinds.is_null(type_))


def _array(column: Any) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column if isinstance(column, pa.Array) else pa.array(column)
