"""Each rank's part of a Parquet data set, and equal numbers of steps for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from tandem.errors import UserError


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


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files of a data set (a file or a folder), in a fixed order."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise UserError(f"{path} holds no Parquet file: run the data_processing pipeline first")
    return files


def count_rows(path: Path) -> int:
    """Number of rows, from the footers alone."""
    return sum(pq.read_metadata(file).num_rows for file in parquet_files(path))


def read_columns(path: Path, columns: Sequence[str], rank: int = 0, size: int = 1) -> dict[str, npt.NDArray[Any]]:
    """The rank's rows of these flat columns, name -> array [rows]; only the row groups that hold them are read.

    Raises UserError where a column is missing or has empty values.
    """
    files = parquet_files(path)
    wanted = rank_range(count_rows(path), rank, size)
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in columns}
    position = 0
    for file in files:
        reader = pq.ParquetFile(file)
        missing = set(columns) - set(reader.schema_arrow.names)
        if missing:
            raise UserError(f"{file} has no column {sorted(missing)[0]}: run the data_processing pipeline again")
        for group in range(reader.num_row_groups):
            rows = reader.metadata.row_group(group).num_rows
            start, stop = max(wanted.start, position), min(wanted.stop, position + rows)
            if start < stop:
                table = reader.read_row_group(group, columns=list(columns)).slice(start - position, stop - start)
                for name in columns:
                    column = table.column(name)
                    if column.null_count:
                        raise UserError(f"{file} has {column.null_count} empty values in column {name}")
                    parts[name].append(column.to_numpy())
            position += rows
    return {name: np.concatenate(chunks) if chunks else np.empty(0, np.int64) for name, chunks in parts.items()}


@dataclass(frozen=True)
class StepPlan:
    """Equal steps for all ranks: in step ``s`` rank ``r`` takes its proportional slice of its own rows.

    Every row is used once an epoch, batches of a step differ by one row at most between the ranks, and each rank knows
    the global number of rows of every step without asking the others.
    """

    shard_rows: tuple[int, ...]
    steps: int

    @classmethod
    def of(cls, shard_rows: Sequence[int], global_batch: int) -> "StepPlan":
        """As many steps as the global batch needs for all rows.

        shard_rows: rows of each rank. Raises UserError where a rank would have an empty batch.
        """
        steps = max(1, -(-sum(shard_rows) // global_batch))
        if min(shard_rows) < steps:
            ranks = len(shard_rows)
            raise UserError(
                f"{ranks} ranks share {sum(shard_rows)} training rows in {steps} steps, which leaves one of them "
                "without rows: use fewer ranks (distributed.num_ranks) or a larger batch_size"
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
