"""Rows of flat columns: ids and numbers, held out or trained on, in a new order every epoch.

All ids of a row stand side by side in one matrix, and all numbers in another: taking the rows of a batch is then two
gathers, whatever the number of columns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from tandem.batches.rows import EpochKey, TrainingRows
from tandem.batches.shards import count_rows, rank_range, read_columns
from tandem.errors import UserError
from tandem.hashing import hash_columns, splitmix64
from tandem.storage.locations import Places

LABEL = "label"
INTERACTION = ("user", "item", LABEL, "validation")
"""The columns of NCF's rows, all of them ids or flags."""

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Batches = Callable[[slice], tuple[Ints, Floats]]
"""From a slice of an epoch's order to its rows, to be changed at will; slices are asked for in sequence."""


class ColumnBatches(TrainingRows[tuple[Ints, Floats]], Protocol):
    """Rows to train on, of flat columns."""

    @property
    def int_names(self) -> tuple[str, ...]:
        """Names of the columns of ids, and of ``label``."""

    @property
    def float_names(self) -> tuple[str, ...]:
        """Names of the columns of numbers."""

    def fingerprint(self) -> int:
        """Changes with any of the rows, and not with their order; 64 bits."""


@dataclass(frozen=True)
class ColumnRows:
    """Rows [n] of named columns, in memory.

    ints: int32 [n, number of int_names]; floats: float32 [n, number of float_names]. int_names may contain ``label``.
    """

    unit: ClassVar[str] = "training rows"
    samples_per_row: ClassVar[float] = 1.0
    weight_per_row: ClassVar[float] = 1.0

    int_names: tuple[str, ...]
    float_names: tuple[str, ...]
    ints: Ints
    floats: Floats

    def __len__(self) -> int:
        return len(self.ints)

    def describe(self) -> str:
        """Nothing is streamed."""
        return ""

    def where(self, mask: Mask) -> "ColumnRows":
        """The rows of a mask [n]."""
        return ColumnRows(self.int_names, self.float_names, self.ints[mask], self.floats[mask])

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> "ColumnRows":
        """These rows, by number, in this order."""
        return ColumnRows(self.int_names, self.float_names, self.ints[rows], self.floats[rows])

    def column(self, name: str) -> npt.NDArray[np.int32] | npt.NDArray[np.float32]:
        """One column, [n]."""
        if name in self.int_names:
            return self.ints[:, self.int_names.index(name)]
        return self.floats[:, self.float_names.index(name)]

    def epoch(self, key: EpochKey) -> Batches:
        """All rows in a new order."""
        order = order_draws(key).permutation(len(self))

        def batch(part: slice) -> tuple[Ints, Floats]:
            chosen = order[part]
            return self.ints[chosen], self.floats[chosen]

        return batch

    def fingerprint(self) -> int:
        """Changes with any of the rows, and not with their order; 64 bits."""
        columns = (*self.ints.T, *self.floats.view(np.int32).T)
        return int(hash_columns(columns, np.zeros(len(self), np.uint64), 29).sum(dtype=np.uint64))


def stacked(parts: Sequence[ColumnRows]) -> ColumnRows:
    """The rows of all parts, which have the same columns."""
    first = parts[0]
    ints, floats = np.concatenate([one.ints for one in parts]), np.concatenate([one.floats for one in parts])
    return ColumnRows(first.int_names, first.float_names, ints, floats)


def read_column_rows(
    path: Places, ids: Sequence[str], numbers: Sequence[str], rank: int = 0, size: int = 1
) -> ColumnRows:
    """This rank's rows of a Parquet data set; ids: columns of whole numbers, numbers: of floats.

    Raises UserError where a column is missing, has empty values, or numbers that are not finite.
    """
    return column_rows(path, read_columns(path, (*ids, *numbers), rank, size), ids, numbers)


def column_rows(
    path: Places, columns: dict[str, npt.NDArray[Any]], ids: Sequence[str], numbers: Sequence[str]
) -> ColumnRows:
    """Rows of columns, name -> array [n]; they are taken out of ``columns``, so that none is held twice.

    Raises UserError, which names the path, where numbers are not finite.
    """
    rows = len(next(iter(columns.values())))
    ints, floats = np.empty((rows, len(ids)), np.int32), np.empty((rows, len(numbers)), np.float32)
    for index, name in enumerate(ids):
        ints[:, index] = columns.pop(name)
    for index, name in enumerate(numbers):
        floats[:, index] = columns.pop(name)
        if not np.isfinite(floats[:, index]).all():
            raise UserError(f"{path}: column {name} has values that are not finite: run the data_processing pipeline")
    return ColumnRows(tuple(ids), tuple(numbers), ints, floats)


def held_out(path: Places, fraction: float, seed: int, rank: int = 0, size: int = 1) -> Mask:
    """Which of this rank's rows validate: a share of all, drawn by the row's number in the data set and the seed.

    The draw does not depend on the number of ranks.
    """
    rows = rank_range(count_rows(path), rank, size)
    return held_out_numbers(rows.start, len(rows), fraction, seed)


def held_out_numbers(first: int, count: int, fraction: float, seed: int) -> Mask:
    """The same for ``count`` rows from number ``first`` on, [count]."""
    keys = np.arange(first, first + count, dtype=np.uint64) + splitmix64(np.array([seed], np.uint64))
    return np.asarray(splitmix64(keys) < np.uint64(int(fraction * float(1 << 63)) * 2))


def order_draws(key: EpochKey) -> np.random.Generator:
    """What draws the order in which a rank takes its rows in an epoch."""
    return np.random.default_rng(list(key))


@dataclass(frozen=True)
class IdDropout:
    """Rows of which a share of the ids of some columns is trained as 0, the unknown, so that a model learns to meet it.

    rate: of the ids of each column, rounded to 1/65536, drawn anew every epoch.
    """

    unit: ClassVar[str] = ColumnRows.unit
    samples_per_row: ClassVar[float] = 1.0
    weight_per_row: ClassVar[float] = 1.0

    rows: ColumnBatches
    columns: tuple[str, ...]
    rate: float

    @property
    def int_names(self) -> tuple[str, ...]:
        """Of the rows."""
        return self.rows.int_names

    @property
    def float_names(self) -> tuple[str, ...]:
        """Of the rows."""
        return self.rows.float_names

    def __len__(self) -> int:
        return len(self.rows)

    def describe(self) -> str:
        """Of the rows."""
        return self.rows.describe()

    def fingerprint(self) -> int:
        """Of the rows."""
        return self.rows.fingerprint()

    def epoch(self, key: EpochKey) -> Batches:
        """The rows' order; ids are dropped batch by batch."""
        batches, draws = self.rows.epoch(key), np.random.default_rng([*key, 1])
        places = [self.int_names.index(name) for name in self.columns]

        def batch(part: slice) -> tuple[Ints, Floats]:
            ints, floats = batches(part)
            return drop_ids(ints, places, self.rate, draws), floats

        return batch


def drop_ids(ints: Ints, columns: Sequence[int], rate: float, draws: np.random.Generator) -> Ints:
    """Ids of these columns become 0 (unknown) at a rate, rounded to 1/65536, in place; returns ints."""
    if rate > 0.0 and columns:
        drawn = draws.integers(0, 1 << 16, (len(ints), len(columns)), dtype=np.uint16)
        for place, column in enumerate(columns):
            ints[drawn[:, place] < round(rate * (1 << 16)), column] = 0
    return ints
