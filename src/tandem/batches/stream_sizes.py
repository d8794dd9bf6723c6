"""How the rows of a rank share the memory that they are given: all of them in it, or streamed through it."""

import math
from dataclasses import dataclass
from typing import Any

from tandem.batches.columns import ColumnRows, read_column_rows
from tandem.batches.shards import GroupPart, count_rows, group_parts
from tandem.errors import UserError
from tandem.storage.locations import Places
from tandem.storage.parquet import parquet_files, read_footer

# Column chunks are read in pieces of so many bytes, and never whole.
READ_BYTES = 1 << 16
PAGE_BYTES = 1 << 20
# A footer is so many times larger when it is parsed.
PARSED = 10
MEGABYTE = 1_000_000
# While it is read, a shard is held as Arrow's columns, as ours, as matrices, and as those of its rows that train.
COPIES_IN_MEMORY = 4
MOST_OPEN_GROUPS = 8
# Half of what open row groups leave is the buffer; at most a dozen blocks are on their way.
BLOCKS_OF_MEMORY = 32
# What allocators keep of what is freed.
RESERVE = 0.2
LEAST_BLOCK_ROWS = 64


@dataclass(frozen=True)
class Shard:
    """A rank's rows of a Parquet data set; ids: columns of whole numbers that are read, numbers: of floats."""

    path: Places
    ids: tuple[str, ...]
    numbers: tuple[str, ...]
    rank: int = 0
    size: int = 1

    @property
    def row_bytes(self) -> int:
        """Of a row in memory."""
        return 4 * (len(self.ids) + len(self.numbers))

    def read(self) -> ColumnRows:
        """All of it."""
        return read_column_rows(self.path, self.ids, self.numbers, self.rank, self.size)

    def parts(self) -> list[GroupPart]:
        """The row groups that hold it."""
        return group_parts(self.path, self.rank, self.size)


@dataclass(frozen=True)
class StreamSizes:
    """How a memory limit is spent: row groups open at once, rows of a block, rows of the shuffle buffer."""

    open_groups: int
    block_rows: int
    buffer_rows: int

    @classmethod
    def of(cls, limit: float, row_bytes: int, group_bytes: int, name: str, taken_share: float = 0.0) -> "StreamSizes":
        """limit: bytes, of which ``taken_share`` is for something else; group_bytes: of an open row group.

        Raises UserError, which names the parameter, where the limit is too small.
        """
        least = 2 * (group_bytes + BLOCKS_OF_MEMORY * LEAST_BLOCK_ROWS * row_bytes) / (1.0 - taken_share)
        if limit < least:
            raise UserError(
                f"{name}: {limit / MEGABYTE:g} MB are too few to read these rows; set at least "
                f"{math.ceil(least / MEGABYTE)}, or write smaller row groups"
            )
        open_groups = int(min(max(1, limit / 4 // max(1, group_bytes)), MOST_OPEN_GROUPS))
        rows = int((limit * (1.0 - RESERVE - taken_share) - open_groups * group_bytes) / row_bytes)
        return cls(open_groups, rows // BLOCKS_OF_MEMORY, rows // 2)


def stream_sizes(
    shard: Shard, limit_mb: float | None, name: str, *, added_bytes: int = 0, taken_share: float = 0.0
) -> StreamSizes | None:
    """None where the rows stay in memory: without a limit, or where they fit; the same for every rank.

    name: of the parameter; added_bytes: of each row, beside its columns; taken_share: of the limit, for something else
    where rows are streamed. Raises UserError where the limit is too small.
    """
    if limit_mb is None:
        return None
    row_bytes = shard.row_bytes + added_bytes
    largest_shard = -(-count_rows(shard.path) // shard.size)
    if COPIES_IN_MEMORY * row_bytes * largest_shard <= limit_mb * MEGABYTE:
        return None
    return StreamSizes.of(limit_mb * MEGABYTE, row_bytes, reader_bytes(shard), name, taken_share)


def reader_bytes(shard: Shard) -> int:
    """About what it takes to have the largest row group open, as measured: for each column a page and a dictionary,
    both as they are stored and as they are decoded, what is read at once; and the footer of the file."""
    most, columns = 0, {*shard.ids, *shard.numbers}
    for file in parquet_files(shard.path):
        metadata = read_footer(file)
        places = [place for place in range(metadata.num_columns) if metadata.schema.column(place).path in columns]
        for group in range(metadata.num_row_groups):
            chunks = (metadata.row_group(group).column(place) for place in places)
            most = max(most, PARSED * metadata.serialized_size + sum(_column_bytes(chunk) for chunk in chunks))
    return most


def _column_bytes(chunk: Any) -> int:
    start = chunk.dictionary_page_offset
    dictionary = 0 if start is None else chunk.data_page_offset - start
    return int(2 * (min(chunk.total_uncompressed_size, PAGE_BYTES) + dictionary) + READ_BYTES)
