"""Each rank's part of a Parquet data set, and equal numbers of steps for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.errors import UserError
from tandem.storage.filesystems import explaining
from tandem.storage.locations import Location, Places
from tandem.storage.parquet import open_parquet, parquet_files, read_footer


@dataclass(frozen=True)
class RowRange:
    """Rows ``start`` (included) to ``stop`` (excluded)."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def rank_range(num_rows: int, rank: int, size: int) -> RowRange:
    """The rows of a rank: contiguous, disjoint, covering all, and of sizes that differ by one at most."""
    return RowRange(num_rows * rank // size, num_rows * (rank + 1) // size)


def count_rows(path: Places) -> int:
    """Number of rows, from the footers alone."""
    return sum(read_footer(file).num_rows for file in parquet_files(path))


@dataclass(frozen=True)
class GroupPart:
    """Rows ``start`` to ``stop`` of a row group, those of one rank; ``first``: number of the group's first row in the
    data set."""

    file: Location
    group: int
    first: int
    start: int
    stop: int


def group_parts(path: Places, rank: int = 0, size: int = 1) -> list[GroupPart]:
    """The row groups that hold this rank's rows, in the order of the data set; from the footers alone."""
    wanted, position = rank_range(count_rows(path), rank, size), 0
    parts = []
    for file in parquet_files(path):
        metadata = read_footer(file)
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            start, stop = max(wanted.start - position, 0), min(wanted.stop - position, rows)
            if start < stop:
                parts.append(GroupPart(file, group, position, start, stop))
            position += rows
    return parts


def check_columns(file: Location, found: Sequence[str], columns: Sequence[str]) -> None:
    """Raise UserError where a file has not all of these columns."""
    missing = set(columns) - set(found)
    if missing:
        raise UserError(f"{file} has no column {sorted(missing)[0]}: run the data_processing pipeline again")


def read_columns(path: Places, columns: Sequence[str], rank: int = 0, size: int = 1) -> dict[str, npt.NDArray[Any]]:
    """The rank's rows of these flat columns, name -> array [rows]; only the row groups that hold them are read.

    Raises UserError where a column is missing or has empty values.
    """
    chunks: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in columns}
    parts = group_parts(path, rank, size)
    for file in parquet_files(path):
        reader = open_parquet(file)
        check_columns(file, reader.schema_arrow.names, columns)
        for part in (one for one in parts if one.file == file):
            with explaining(file):
                group = reader.read_row_group(part.group, columns=list(columns))
            table = group.slice(part.start, part.stop - part.start)
            for name in columns:
                chunks[name].append(checked(file, name, table.column(name)).to_numpy())
    return {name: np.concatenate(some) if some else np.empty(0, np.int64) for name, some in chunks.items()}


def checked(file: Location, name: str, column: Any) -> Any:
    """The Arrow column. Raises UserError where it has empty values."""
    if column.null_count:
        raise UserError(f"{file} has {column.null_count} empty values in column {name}")
    return column


def steps_of(rows: int, global_batch: int) -> int:
    """Steps of an epoch over so many rows of all ranks."""
    return max(1, -(-rows // global_batch))


@dataclass(frozen=True)
class StepPlan:
    """Equal steps for all ranks: in step ``s`` rank ``r`` takes its proportional slice of its own rows.

    Every row is used once an epoch, batches of a step differ by one row at most between the ranks, and each rank knows
    the global number of rows of every step without asking the others.
    """

    shard_rows: tuple[int, ...]
    steps: int

    @classmethod
    def of(cls, shard_rows: Sequence[int], global_batch: int, unit: str = "training rows") -> "StepPlan":
        """As many steps as the global batch needs for all rows.

        shard_rows: rows of each rank; unit: what a row is. Raises UserError where a rank would have an empty batch.
        """
        steps = steps_of(sum(shard_rows), global_batch)
        if min(shard_rows) < steps:  # known before the ranks start where they are launched by a node: batches.sharing
            ranks = len(shard_rows)
            raise UserError(
                f"{ranks} ranks share {sum(shard_rows)} {unit} in {steps} steps, which leaves one of them without "
                f"{unit}: use fewer ranks (distributed.num_ranks) or a larger batch_size"
            )
        return cls(tuple(shard_rows), steps)

    def rows(self, rank: int, step: int) -> slice:
        """Rows of the (shuffled) shard that this rank takes in this step."""
        count = self.shard_rows[rank]
        return slice(count * step // self.steps, count * (step + 1) // self.steps)

    def global_rows(self, step: int) -> int:
        """Rows that all ranks together take in this step."""
        slices = (self.rows(rank, step) for rank in range(len(self.shard_rows)))
        return sum(part.stop - part.start for part in slices)
