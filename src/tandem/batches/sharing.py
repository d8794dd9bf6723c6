"""Into how many ranks the rows of a training can be divided: known from the rows, before any rank starts."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import LABEL, held_out_numbers
from tandem.batches.shards import check_columns, checked, count_rows, rank_range, steps_of
from tandem.errors import UserError
from tandem.storage.filesystems import explaining
from tandem.storage.locations import Location, Places
from tandem.storage.parquet import open_parquet, parquet_files

Mask = npt.NDArray[np.bool_]
BLOCK_ROWS = 1 << 20


@dataclass(frozen=True)
class Phase:
    """A part of a training that takes the same rows from its beginning to its end.

    rows: of all ranks; step_rows: of a step, on all ranks together; unit: what a row is, in the plural; name: of the
    phase, "" where it is the only one. shards: the rows of each rank, for a number of ranks. mend: what to set so that
    a step has at least so many rows.
    """

    rows: int
    step_rows: int
    unit: str
    shards: Callable[[int], Sequence[int]]
    mend: Callable[[int], str]
    name: str = ""

    def refusal(self, ranks: int) -> str | None:
        """Why so many ranks cannot share the phase; None where they can (the condition of ``StepPlan.of``)."""
        of_phase = f" of the {self.name}" if self.name else ""
        least = min(self.shards(ranks)) if ranks <= self.rows else 0
        if least == 0:
            return f"{ranks} ranks for {self.rows} {self.unit}{of_phase}"
        steps = steps_of(self.rows, self.step_rows)
        if least >= steps:
            return None
        return (
            f"{ranks} ranks cannot share {self.rows} {self.unit}{of_phase} in {steps} steps of {self.step_rows} "
            f"(they can with {self.mend(-(-self.rows // least))})"
        )


@dataclass(frozen=True)
class SharedRows:
    """What the ranks of a training divide among them, in one phase or several.

    check: is called with a number of ranks, and raises UserError for what another number would not mend.
    """

    phases: tuple[Phase, ...]
    check: Callable[[int], object] = lambda ranks: None

    def refusal(self, ranks: int) -> str | None:
        """Why so many ranks cannot train on these rows; None where they can.

        Raises:
            UserError: no number of ranks can.
        """
        for phase in self.phases:
            if phase.rows == 0:
                raise UserError(f"there are no {phase.unit} to train on: run the data_processing pipeline on more data")
        self.check(ranks)
        return next(filter(None, (phase.refusal(ranks) for phase in self.phases)), None)

    def most(self, ranks: int) -> int:
        """The largest number, not above ``ranks``, of those that can; one rank always can."""
        # A rank has a row for every step, and all ranks together have no more than there are.
        bounds = (phase.rows // steps_of(phase.rows, phase.step_rows) for phase in self.phases)
        return next(number for number in range(min(ranks, *bounds), 0, -1) if self.refusal(number) is None)


class Marks:
    """Which rows of a data set count, a bit for each, in their order."""

    def __init__(self) -> None:
        self._starts, self._before = [0], [0]
        self._bits: list[npt.NDArray[np.uint8]] = []

    def add(self, mask: Mask) -> None:
        """The next rows."""
        self._bits.append(np.packbits(mask))
        self._starts.append(self._starts[-1] + len(mask))
        self._before.append(self._before[-1] + int(np.count_nonzero(mask)))

    @property
    def total(self) -> int:
        """Number of the rows that count."""
        return self._before[-1]

    def shards(self, ranks: int) -> list[int]:
        """How many of the rows that count each rank has, when ranks take their ranges of all rows."""
        ranges = (rank_range(self._starts[-1], rank, ranks) for rank in range(ranks))
        return [self._until(rows.stop) - self._until(rows.start) for rows in ranges]

    def _until(self, row: int) -> int:
        """How many count among the rows before this one."""
        block = bisect_right(self._starts, row) - 1
        if block == len(self._bits):
            return self.total
        whole, rest = divmod(row - self._starts[block], 8)
        bits = self._bits[block]
        return (
            self._before[block]
            + int(np.bitwise_count(bits[:whole]).sum())
            + int(np.count_nonzero(np.unpackbits(bits[whole : whole + 1])[:rest]))
        )


def column_blocks(path: Places, columns: Sequence[str]) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """All rows of these columns in their order, a row group at a time.

    Raises UserError where a column is missing or has empty values.
    """
    for file in parquet_files(path):
        with explaining(file), open_parquet(file) as reader:
            check_columns(file, reader.schema_arrow.names, columns)
            for group in range(reader.num_row_groups):
                table = reader.read_row_group(group, columns=list(columns))
                yield {name: checked(file, name, table.column(name)).to_numpy() for name in columns}


def rows_held_in(path: Location, fraction: float, seed: int, *, positives: bool) -> Marks:
    """The rows that ``columns.held_out`` leaves to train on; positives: those with label 1 alone."""
    marks, first = Marks(), 0
    for wanted in _labels(path) if positives else _all_rows(path):
        marks.add(wanted & ~held_out_numbers(first, len(wanted), fraction, seed))
        first += len(wanted)
    return marks


def _labels(path: Location) -> Iterator[Mask]:
    return (block[LABEL] > 0 for block in column_blocks(path, [LABEL]))


def _all_rows(path: Location) -> Iterator[Mask]:
    rows = count_rows(path)
    return (np.ones(min(BLOCK_ROWS, rows - start), np.bool_) for start in range(0, rows, BLOCK_ROWS))
