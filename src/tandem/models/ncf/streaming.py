"""A rank's part of the NCF data where it is larger than ``ncf.memory_limit_mb``: read in blocks, every epoch anew.

Stored negatives alone: to draw others, a rank looks up the positives of every user, which must then be in its memory.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import ColumnRows
from tandem.batches.row_blocks import RowBlocks, RowStream
from tandem.batches.stream_sizes import Shard, StreamSizes, stream_sizes
from tandem.batches.streaming import StreamedRows, blocks_of
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.negatives import Pairs
from tandem.models.ncf.rows import LabelledPairs, NCFData, ValidationRows, load_ncf_data, matrix_of, validated_users
from tandem.models.ncf.streamed_pairs import (
    COLUMNS,
    ITEM,
    LABEL,
    USER,
    VALIDATION,
    StreamedInteractions,
    StreamedPairs,
    pairs_of,
)

# Rows read at once to know them again.
BLOCK_ROWS = 1 << 16

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def load_or_stream(job: NCFJob, rank: int, size: int, *, hold_out: bool) -> NCFData:
    """This rank's rows, in memory or streamed where they are more than the limit; hold_out: as in ``load_ncf_data``.

    Raises UserError where there are no rows to train on, or the limit is too small.
    """
    everything = Shard(job.sources, COLUMNS, ())  # to validate, each rank reads the rows of all
    sizes = stream_sizes(everything, job.parameters.memory_limit_mb, "ncf.memory_limit_mb")
    if sizes is None:
        return load_ncf_data(job, rank, size, hold_out=hold_out)
    rows = _Rows(job, sizes)
    streamed = StreamedRows(rows.of_rank(rank, size, held_out=False if hold_out else None))
    # Of all rows, as in memory: a checkpoint of a refit, which holds none out, is met by a search, which does.
    held_out = rows.of_rank(rank, size, held_out=True) if hold_out else ()
    none = LabelledPairs(Pairs(np.empty(0, np.int32), np.empty(0, np.int32)), np.empty(0, np.float32))
    return NCFData(
        StreamedInteractions(streamed, job.parameters.unknown_rate),
        none,
        _validation_rows(job, rows, rank, size) if hold_out else None,
        (streamed.fingerprint() + sum(block.fingerprint() for block in held_out)) % (1 << 64),
    )


def fingerprint_of_test(job: NCFJob, rank: int, size: int) -> int:
    """Changes with any of the rank's part of the test rows that the job trains on; 64 bits, 0 where it does not."""
    if job.test is None:
        return 0
    blocks = RowBlocks(Shard(job.test, COLUMNS, (), rank, size), StreamSizes(1, BLOCK_ROWS, 0))
    return sum(block.rows.fingerprint() for block in blocks) % (1 << 64)


@dataclass(frozen=True)
class _Rows:
    job: NCFJob
    sizes: StreamSizes

    def of_rank(self, rank: int, size: int, *, held_out: bool | None) -> RowStream:
        """Those held out, those that are not, or (None) both; of test rows those with a known user and item."""

        def chosen(rows: ColumnRows) -> ColumnRows:
            if self.job.with_test:
                rows = rows.where((rows.ints[:, USER] > 0) & (rows.ints[:, ITEM] > 0))
            return rows if held_out is None else rows.where(rows.ints[:, VALIDATION].astype(bool) == held_out)

        blocks = RowBlocks(Shard(self.job.sources, COLUMNS, (), rank, size), self.sizes)
        return RowStream(blocks, lambda block: chosen(block.rows))

    def positives(self, *, held_out: bool) -> RowStream:
        """Of all ranks."""
        return self.of_rank(0, 1, held_out=held_out).then(lambda rows: rows.where(rows.ints[:, LABEL] > 0))


def _validation_rows(job: NCFJob, rows: _Rows, rank: int, size: int) -> ValidationRows:
    has_positive = np.zeros(job.num_users, np.bool_)
    for block in blocks_of(rows.positives(held_out=True)):
        has_positive[block.ints[:, USER]] = True
    users = validated_users(job, np.flatnonzero(has_positive), rank, size)
    seen, relevant = (matrix_of(_of_users(rows.positives(held_out=held), users), job)[users] for held in (False, True))
    return ValidationRows(StreamedPairs(rows.of_rank(rank, size, held_out=True)), users, seen, relevant)


def _of_users(stream: RowStream, users: Ids) -> Pairs:
    """The pairs of these users."""
    found = [pairs_of(block.where(np.isin(block.ints[:, USER], users))) for block in blocks_of(stream)]
    return Pairs(np.concatenate([one.users for one in found]), np.concatenate([one.items for one in found]))
