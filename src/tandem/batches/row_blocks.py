"""A rank's rows of a Parquet data set, a block at a time: memory is that of a block, however large a row group is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.batches.columns import ColumnRows, Mask, column_rows, held_out_numbers
from tandem.batches.shards import GroupPart, check_columns, checked
from tandem.batches.stream_sizes import READ_BYTES, Shard, StreamSizes
from tandem.storage.filesystems import explaining
from tandem.storage.locations import Location
from tandem.storage.parquet import open_parquet, read_footer


class RowBlock(NamedTuple):
    """Rows that stand one after the other in the data set; ``first``: the number of the first of them."""

    rows: ColumnRows
    first: int


@dataclass(frozen=True)
class RowBlocks:
    """A shard's rows, a block at a time; a new pass over the files each time they are iterated over."""

    shard: Shard
    sizes: StreamSizes

    def __iter__(self) -> Iterator[RowBlock]:
        for part in self.shard.parts():
            yield from self.of_part(part)

    def of_part(self, part: GroupPart) -> Iterator[RowBlock]:
        """The rank's rows of one row group. Rows before them are decoded too: Parquet has no way past them.

        Raises UserError where a column is missing, has empty values, or numbers that are not finite.
        """
        shard = self.shard
        for batch, first in arrow_blocks(part, (*shard.ids, *shard.numbers), self.sizes.block_rows):
            columns = {name: checked(part.file, name, batch.column(name)).to_numpy() for name in batch.schema.names}
            yield RowBlock(column_rows(shard.path, columns, shard.ids, shard.numbers), first)

    def none(self) -> RowBlock:
        """No rows, of the same columns."""
        ids, numbers = self.shard.ids, self.shard.numbers
        ints, floats = np.empty((0, len(ids)), np.int32), np.empty((0, len(numbers)), np.float32)
        return RowBlock(ColumnRows(ids, numbers, ints, floats), 0)


@lru_cache(maxsize=1)
def _footer(file: Path, modified: int) -> pq.FileMetaData:
    """Of the file that was read last: parsed for every row group of many, it would take longer than their rows."""
    return pq.read_metadata(file)


def _footer_of(file: Location) -> pq.FileMetaData:
    return _footer(file, file.stat().st_mtime_ns) if isinstance(file, Path) else read_footer(file)


def arrow_blocks(part: GroupPart, columns: tuple[str, ...], block_rows: int) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Batches of a rank's rows of a row group, at most block_rows each, with the number of the first row.

    Raises UserError where a column is missing.
    """
    footer = _footer_of(part.file)
    opened = open_parquet(part.file, metadata=footer, buffer_size=READ_BYTES, pre_buffer=False)
    with explaining(part.file), opened as reader:
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


Prepare = Callable[[RowBlock], ColumnRows]


@dataclass(frozen=True)
class RowStream:
    """Blocks of rows chosen, or made, from a data set's; a new pass over the files each time it is iterated over."""

    blocks: RowBlocks
    prepare: Prepare

    def __iter__(self) -> Iterator[ColumnRows]:
        return map(self.prepare, self.blocks)

    def none(self) -> ColumnRows:
        """No rows, of the same columns."""
        return self.prepare(self.blocks.none())

    def then(self, change: Callable[[ColumnRows], ColumnRows]) -> "RowStream":
        """The same rows, changed, a block at a time."""
        return RowStream(self.blocks, lambda block: change(self.prepare(block)))


def split_held_out(blocks: RowBlocks, fraction: float, seed: int) -> tuple[RowStream, RowStream]:
    """The rows to train on, and those held out: the same as ``columns.held_out`` draws."""

    def held_out(block: RowBlock) -> Mask:
        return held_out_numbers(block.first, len(block.rows), fraction, seed)

    return (
        RowStream(blocks, lambda block: block.rows.where(~held_out(block))),
        RowStream(blocks, lambda block: block.rows.where(held_out(block))),
    )
