"""Training rows that are larger than the memory given: read from Parquet every epoch, and shuffled in a buffer.

The row groups of a rank come in an order drawn anew for each epoch, several of them open at once. Each block of rows
that is read takes the places of as many rows drawn from the buffer, which go to the training: every row once an epoch.
"""

import mmap
import queue
import threading
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import Batches, ColumnRows, Floats, Ints, order_draws
from tandem.batches.row_blocks import RowStream
from tandem.batches.rows import EpochKey
from tandem.batches.shards import GroupPart
from tandem.errors import UserError

T = TypeVar("T")

BLOCKS_AHEAD = 2


class StreamedRows:
    """A rank's training rows, read anew every epoch."""

    unit: ClassVar[str] = ColumnRows.unit
    samples_per_row: ClassVar[float] = 1.0
    weight_per_row: ClassVar[float] = 1.0

    def __init__(self, stream: RowStream) -> None:
        """Read everything once: to count the rows, to know them again, and to find what is wrong with any of them.

        Raises UserError where a column is missing, has empty values, or numbers that are not finite.
        """
        self.stream, self.sizes = stream, stream.blocks.sizes
        none = stream.none()
        self.int_names, self.float_names = none.int_names, none.float_names
        self._parts = stream.blocks.shard.parts()
        self._rows, self._fingerprint = 0, 0
        for rows in read_ahead(iter(stream)):
            self._rows += len(rows)
            self._fingerprint += rows.fingerprint()

    def __len__(self) -> int:
        return self._rows

    def fingerprint(self) -> int:
        """Changes with any of the rows, and not with their order; 64 bits."""
        return self._fingerprint % (1 << 64)

    def epoch(self, key: EpochKey) -> Batches:
        """All rows, each once, in an order that the key and the sizes of the stream alone decide."""
        return self.shuffled(order_draws(key))

    def shuffled(self, draws: np.random.Generator) -> Batches:
        """The same, in an order that ``draws`` decides."""
        blocks = shuffled_in_buffer(self._interleaved(draws), self.sizes.buffer_rows, draws)
        return Rebatched(read_ahead(blocks)).take

    def describe(self) -> str:
        """For the log."""
        sizes = self.sizes
        return (
            f"streams {self._rows:,} training rows a rank from {len(self._parts)} row groups, {sizes.open_groups} open "
            f"at once, through a shuffle buffer of {sizes.buffer_rows:,} rows"
        )

    def _interleaved(self, draws: np.random.Generator) -> Iterator[ColumnRows]:
        """Blocks of several row groups in turn, as drawn."""
        waiting = iter(draws.permutation(len(self._parts)).tolist())
        opened = [self._blocks_of(self._parts[number]) for number in islice(waiting, self.sizes.open_groups)]
        while opened:
            place = int(draws.integers(len(opened)))
            rows = next(opened[place], None)
            if rows is not None:
                yield rows
            elif (number := next(waiting, None)) is not None:
                opened[place] = self._blocks_of(self._parts[number])
            else:
                opened.pop(place)

    def _blocks_of(self, part: GroupPart) -> Iterator[ColumnRows]:
        return map(self.stream.prepare, self.stream.blocks.of_part(part))


def shuffled_in_buffer(blocks: Iterable[ColumnRows], capacity: int, draws: np.random.Generator) -> Iterator[ColumnRows]:
    """The rows of all blocks in another order, in blocks no larger than the largest of them.

    capacity: rows of the buffer, at least those of a block.
    """
    buffer: ColumnRows | None = None
    filled, most = 0, 1
    for block in blocks:
        if buffer is None:
            buffer = _room_for(capacity, block)
        most = max(most, len(block))
        entering = min(capacity - filled, len(block))
        _put(buffer, slice(filled, filled + entering), block, slice(0, entering))
        filled += entering
        if entering < len(block):
            places = _distinct_places(capacity, len(block) - entering, draws)
            leaving = buffer.take(places)
            _put(buffer, places, block, slice(entering, None))
            yield leaving
    if buffer is not None:
        # In 32 bits, half of what a permutation takes.
        order = np.arange(filled, dtype=np.int32)
        draws.shuffle(order)
        for start in range(0, filled, most):
            yield buffer.take(order[start : start + most])


def _room_for(rows: int, like: ColumnRows) -> ColumnRows:
    """Empty rows. Mapped: the allocator would keep what is freed at the end of an epoch in pieces."""
    width = like.ints.shape[1]
    room = np.frombuffer(mmap.mmap(-1, max(1, 4 * rows * (width + like.floats.shape[1]))), np.int32)
    ints, floats = room[: rows * width].reshape(rows, width), room[rows * width :].view(np.float32)
    return ColumnRows(like.int_names, like.float_names, ints, floats.reshape(rows, like.floats.shape[1]))


def _put(buffer: ColumnRows, places: Any, rows: ColumnRows, chosen: slice) -> None:
    buffer.ints[places], buffer.floats[places] = rows.ints[chosen], rows.floats[chosen]


def _distinct_places(capacity: int, count: int, draws: np.random.Generator) -> npt.NDArray[np.int64]:
    """``count`` of the numbers below ``capacity``, drawn without replacement, in memory that depends on count alone."""
    places = np.empty(0, np.int64)
    while len(places) < count:
        places = np.unique(np.concatenate([places, draws.integers(0, capacity, count - len(places))]))
    return draws.permutation(places)


class Rebatched:
    """Batches of any size from blocks of any size."""

    def __init__(self, blocks: Iterator[ColumnRows]) -> None:
        self._blocks = blocks
        self._left: ColumnRows | None = None

    def take(self, part: slice) -> tuple[Ints, Floats]:
        """The next rows, as many as the slice has. Raises UserError where there are no more."""
        pieces, missing = [], part.stop - part.start
        while missing:
            rows = self._left or next(self._blocks, None)
            if rows is None:
                raise UserError("the training rows have become fewer since the start: leave their files as they are")
            pieces.append((rows.ints[:missing], rows.floats[:missing]))
            self._left = ColumnRows(rows.int_names, rows.float_names, rows.ints[missing:], rows.floats[missing:])
            missing -= len(pieces[-1][0])
        if len(pieces) == 1:
            return pieces[0]
        return np.concatenate([ints for ints, _ in pieces]), np.concatenate([floats for _, floats in pieces])


def read_ahead(source: Iterator[T], ahead: int = BLOCKS_AHEAD) -> Iterator[T]:
    """What the source gives, made in a thread that is at most so many elements ahead.

    What the source raises is raised here. The thread ends with the source, or when this iterator is closed.
    """
    made: queue.Queue[tuple[str, Any]] = queue.Queue(ahead)
    closed = threading.Event()
    threading.Thread(target=_fill, args=(source, made, closed), daemon=True, name="read ahead").start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
            del value  # or one more element is held while the next is waited for
    finally:
        closed.set()


def blocks_of(rows: ColumnRows | RowStream) -> Iterator[ColumnRows]:
    """All rows in their order: as one block those in memory, as many those of a stream; the columns in any case."""
    return iter([rows]) if isinstance(rows, ColumnRows) else read_ahead(chain([rows.none()], rows))


def _fill(source: Iterator[Any], made: "queue.Queue[tuple[str, Any]]", closed: threading.Event) -> None:
    def put(kind: str, value: Any) -> None:
        while not closed.is_set():
            try:
                return made.put((kind, value), timeout=0.1)
            except queue.Full:
                continue

    try:
        while not closed.is_set():
            element = next(source, None)
            if element is None:
                return put("end", None)
            put("element", element)
            del element
    except BaseException as error:
        put("error", error)
