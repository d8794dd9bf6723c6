"""A rank's rows of a Parquet data set, a block at a time: memory is that of a block, however large a row group is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.batches.columns import ColumnRows, Mask, column_rows, held_out_numbers, read_column_rows
from tandem.batches.shards import GroupPart, check_columns, checked, group_parts, parquet_files

# Column chunks are read in pieces of so many bytes, and never whole.
READ_BYTES = 1 << 16
PAGE_BYTES = 1 << 20


class RowBlock(NamedTuple):
    """Rows that stand one after the other in the data set; ``first``: the number of the first of them."""

    rows: ColumnRows
    first: int


@dataclass(frozen=True)
class Shard:
    """A rank's rows of a Parquet data set; ids: columns of whole numbers that are read, numbers: of floats."""

    path: Path
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
class RowBlocks:
    """A shard's rows, at most block_rows at once; a new pass over the files each time they are iterated over."""

    shard: Shard
    block_rows: int

    def __iter__(self) -> Iterator[RowBlock]:
        for part in self.shard.parts():
            yield from self.of_part(part)

    def of_part(self, part: GroupPart) -> Iterator[RowBlock]:
        """The rank's rows of one row group. Rows before them are decoded too: Parquet has no way past them.

        Raises UserError where a column is missing, has empty values, or numbers that are not finite.
        """
        shard = self.shard
        for batch, first in arrow_blocks(part, (*shard.ids, *shard.numbers), self.block_rows):
            columns = {name: checked(part.file, name, batch.column(name)).to_numpy() for name in batch.schema.names}
            yield RowBlock(column_rows(shard.path, columns, shard.ids, shard.numbers), first)

    def none(self) -> RowBlock:
        """No rows, of the same columns."""
        ids, numbers = self.shard.ids, self.shard.numbers
        ints, floats = np.empty((0, len(ids)), np.int32), np.empty((0, len(numbers)), np.float32)
        return RowBlock(ColumnRows(ids, numbers, ints, floats), 0)


def arrow_blocks(part: GroupPart, columns: tuple[str, ...], block_rows: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches of a rank's rows of a row group, at most block_rows each, with the number of the first row.

    Raises UserError where a column is missing.
    """
    with pq.ParquetFile(part.file, buffer_size=READ_BYTES, pre_buffer=False) as reader:
        check_columns(part.file, reader.schema_arrow.names, columns)
        position = 0
        batches = reader.iter_batches(
            block_rows, row_groups=[part.group], columns=list(dict.fromkeys(columns)), use_threads=False
        )
        for batch in batches:
            start, stop = max(part.start - position, 0), min(part.stop - position, len(batch))
            if start < stop:
                yield batch.slice(start, stop - start), part.first + position + start
            position += len(batch)
            if position >= part.stop:
                return


def reader_bytes(shard: Shard) -> int:
    """About what it takes to have the largest row group open, as measured: for each column a page and a dictionary,
    both as they are stored and as they are decoded, and what is read at once."""
    most, columns = 0, {*shard.ids, *shard.numbers}
    for file in parquet_files(shard.path):
        metadata = pq.read_metadata(file)
        places = [place for place in range(metadata.num_columns) if metadata.schema.column(place).path in columns]
        for group in range(metadata.num_row_groups):
            chunks = (metadata.row_group(group).column(place) for place in places)
            most = max(most, sum(_column_bytes(chunk) for chunk in chunks))
    return most


def _column_bytes(chunk: Any) -> int:
    start = chunk.dictionary_page_offset
    dictionary = 0 if start is None else chunk.data_page_offset - start
    return int(2 * (min(chunk.total_uncompressed_size, PAGE_BYTES) + dictionary) + READ_BYTES)


Prepare = Callable[[RowBlock], ColumnRows]


@dataclass(frozen=True)
class RowStream:
    """Blocks of rows chosen, or made, from a data set's; a new pass over the files each time it is iterated over."""

    blocks: RowBlocks
    prepare: Prepare

    def __iter__(self) -> Iterator[ColumnRows]:
        return map(self.prepare, self.blocks)


def split_held_out(blocks: RowBlocks, fraction: float, seed: int) -> tuple[RowStream, RowStream]:
    """The rows to train on, and those held out: the same as ``columns.held_out`` draws."""

    def held_out(block: RowBlock) -> Mask:
        return held_out_numbers(block.first, len(block.rows), fraction, seed)

    return (
        RowStream(blocks, lambda block: block.rows.where(~held_out(block))),
        RowStream(blocks, lambda block: block.rows.where(held_out(block))),
    )
