"""Rows of two towers in a rank's memory, and which of them are of the same user or the same item.

A row's user is the id in its ``user`` column where that is known, and otherwise all that the tower reads of it;
likewise its item by ``tweet``. Rows of one user or item may differ in numbers that change with time, such as its
followers: in a batch, whose towers see each user and item once, those of its first row count.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import LABEL, ColumnRows, read_column_rows
from tandem.distributed.ranks.communicator import Communicator
from tandem.hashing import hash_columns
from tandem.parameters import TowerParameters, TwoTowerModelParameters
from tandem.storage.locations import Location

Keys = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
Side = Literal["user", "item"]

IDENTITY = {"user": "user", "item": "tweet"}
"""The column whose id, where known, says which user or item a row is of."""
SHARE = "item_share"


def key_names(side: Side) -> tuple[str, str]:
    """The int32 columns that hold the upper and the lower half of a key."""
    return f"{side}_key_high", f"{side}_key_low"


def columns_of(model: TwoTowerModelParameters) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The id columns and the number columns of both towers, each once."""
    ids = dict.fromkeys((*model.user.ids, *model.item.ids))
    return tuple(ids), tuple(dict.fromkeys((*model.user.continuous, *model.item.continuous)))


def within(rows: ColumnRows, sizes: Mapping[str, int]) -> ColumnRows:
    """The rows with ids that are none of their table's as 0; feature tables hold ids that a frequency limit cut off."""
    limits = np.array([sizes.get(name, np.iinfo(np.int32).max) for name in rows.int_names], np.int32)
    ints = np.where((rows.ints >= 0) & (rows.ints < limits), rows.ints, 0)
    return ColumnRows(rows.int_names, rows.float_names, ints, rows.floats)


def keys_of(rows: ColumnRows, side: Side, columns: TowerParameters) -> Keys:
    """A number for each row's user or item, int64 [rows]: its id, or a hash below 0; the same on every rank."""
    ids = {name: rows.column(name) for name in columns.ids}
    parts = (*ids.values(), *(rows.column(name).view(np.int32) for name in columns.continuous))
    mixed = hash_columns(parts, np.full(len(rows), 0x5851F42D4C957F2D, np.uint64), 31)
    hashed = -1 - (mixed >> np.uint64(1)).astype(np.int64)
    if IDENTITY[side] not in columns.embeddings:
        return hashed
    known = ids[IDENTITY[side]].astype(np.int64)
    return np.where(known > 0, known, hashed)


def distinct(keys: Keys) -> tuple[Places, Places]:
    """The row in which each key stands first, and the place of each row's key among them."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return first, place


def read_rows(
    path: Location, model: TwoTowerModelParameters, sizes: Mapping[str, int], rank: int, size: int
) -> ColumnRows:
    """This rank's rows: the columns of both towers, and ``label``; UserError where a column is missing."""
    ids, numbers = columns_of(model)
    return within(read_column_rows(path, (*ids, LABEL), numbers, rank, size), sizes)


def with_keys(rows: ColumnRows, users: Keys, items: Keys, shares: Shares) -> ColumnRows:
    """The rows with what the losses need to know of them: halves of the keys, and the items' shares."""
    halves = [half for keys in (users, items) for half in (keys >> 32, (keys & 0xFFFFFFFF).astype(np.uint32))]
    ints = np.column_stack([rows.ints, *(half.astype(np.int32) for half in halves)])
    floats = np.column_stack([rows.floats, shares.astype(np.float32)])
    names = (*rows.int_names, *key_names("user"), *key_names("item"))
    return ColumnRows(names, (*rows.float_names, SHARE), ints, floats)


def gathered(rows: ColumnRows, communicator: Communicator) -> ColumnRows:
    """The rows of all ranks, in rank order."""
    ints, floats = communicator.allgather(rows.ints), communicator.allgather(rows.floats)
    return ColumnRows(rows.int_names, rows.float_names, ints, floats)
