"""What share of the training rows of all ranks each item has: exact in memory, or in memory of a fixed size."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tandem.distributed.ranks.communicator import Communicator
from tandem.hashing import splitmix64

Keys = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]

# Independent tables of a sketch: an item is counted wrongly only where it shares its place in most of them.
DEPTH = 4
COUNT_BYTES = 4


class Frequencies(Protocol):
    """Shares of the training rows of all ranks, the same on every rank."""

    def of_items(self, keys: Keys) -> Shares:
        """Of these items, which all stand in the rows; float64 [n]."""


@dataclass(frozen=True)
class ItemFrequencies:
    """Exact: the keys of all items, ascending, and their shares of the rows."""

    keys: Keys
    shares: Shares

    @classmethod
    def of(cls, keys: Keys, communicator: Communicator) -> Self:
        """keys: of this rank's rows [n]. Each rank then holds 16 bytes per distinct item of all."""
        own, counts = np.unique(keys, return_counts=True)
        everywhere, place = np.unique(communicator.allgather(own), return_inverse=True)
        totals = np.bincount(place, communicator.allgather(counts.astype(np.int64)).astype(np.float64))
        return cls(everywhere, totals / totals.sum())

    def of_items(self, keys: Keys) -> Shares:
        """Shares of these items, which all stand in the rows."""
        return self.shares[np.searchsorted(self.keys, keys)]


@dataclass(frozen=True)
class SketchedFrequencies:
    """About: counts of items that share their places with others, int32 [DEPTH, width], whatever the number of items.

    The sketch of Yi et al. 2019 (section 4: several hashed arrays of frequencies), read as Deng and Rafiei 2007 read
    theirs: what the other items put into a place on average is taken off, and the median over the arrays counts.
    """

    counts: npt.NDArray[np.int32]
    rows: int

    @classmethod
    def of(cls, blocks: Iterable[Keys], width: int, communicator: Communicator) -> Self:
        """blocks: keys of this rank's rows; width: places of each array, the same on every rank."""
        counts, rows = np.zeros((DEPTH, width), np.int32), 0
        for keys in blocks:
            rows += len(keys)
            for array, places in zip(counts, _hashed(keys, width), strict=True):
                np.add.at(array, places, 1)
        if communicator.size > 1:
            counts = np.asarray(communicator.allreduce_sum_(tf.constant(counts)))
        return cls(counts, int(communicator.allreduce_scalars({"rows": float(rows)})["rows"]))

    def of_items(self, keys: Keys) -> Shares:
        """Shares of these items, which all stand in the rows: at least that of a single row."""
        width = self.counts.shape[1]
        found = np.stack([array[places] for array, places in zip(self.counts, _hashed(keys, width), strict=True)])
        of_others = (self.rows - found) / max(1, width - 1)
        return np.asarray(np.maximum(np.median(found - of_others, axis=0), 1.0) / self.rows)


def _hashed(keys: Keys, width: int) -> Iterable[Places]:
    """The place of each key in each of the arrays."""
    for number in range(DEPTH):
        yield (splitmix64(keys.astype(np.uint64), number + 1) % np.uint64(width)).astype(np.int64)
