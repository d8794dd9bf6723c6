"""The training rows of NCF where they are larger than the memory given: stored rows, read anew every epoch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from tandem.batches.columns import INTERACTION, ColumnRows, Floats, drop_ids
from tandem.batches.row_blocks import RowStream
from tandem.batches.rows import EpochKey
from tandem.batches.streaming import StreamedRows, blocks_of
from tandem.batches.torch_streams import epoch_streams
from tandem.models.ncf.negatives import Batch, Pairs

COLUMNS = INTERACTION
USER, ITEM, LABEL, VALIDATION = range(len(COLUMNS))


@dataclass(frozen=True)
class StreamedInteractions:
    """Rows of ``COLUMNS`` with stored labels, in a new order each epoch: ``StoredRows`` in bounded memory."""

    unit: ClassVar[str] = ColumnRows.unit
    samples_per_row: ClassVar[float] = 1.0
    weight_per_row: ClassVar[float] = 1.0

    rows: StreamedRows
    unknown_rate: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def describe(self) -> str:
        """Of the rows."""
        return self.rows.describe()

    def epoch(self, key: EpochKey) -> Callable[[slice], Batch]:
        """Shuffle in the stream's buffer; ids are dropped batch by batch."""
        seed = epoch_streams(key).own.initial_seed()
        batches = self.rows.shuffled(np.random.default_rng([seed, 0]))
        draws = np.random.default_rng([seed, 1])  # not those of the order, which a thread draws ahead of the batches

        def batch(part: slice) -> Batch:
            ints, _ = batches(part)
            ints = drop_ids(ints, (USER, ITEM), self.unknown_rate, draws)
            columns = torch.from_numpy(np.ascontiguousarray(ints.T))
            return Batch(columns[USER], columns[ITEM], columns[LABEL].float())

        return batch


@dataclass(frozen=True)
class StreamedPairs:
    """(user, item) pairs and their labels, float32, a block at a time; a new pass over the files each time."""

    stream: RowStream

    def __iter__(self) -> Iterator[tuple[Pairs, Floats]]:
        for rows in blocks_of(self.stream):
            yield pairs_of(rows), rows.ints[:, LABEL].astype(np.float32)


def pairs_of(rows: ColumnRows) -> Pairs:
    """The pairs of rows of ``COLUMNS``."""
    return Pairs(np.ascontiguousarray(rows.ints[:, USER]), np.ascontiguousarray(rows.ints[:, ITEM]))
