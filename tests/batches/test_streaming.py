"""Rows larger than the memory given: each once an epoch, in an order of the epoch's own, and never many at once."""

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.batches.columns import ColumnRows, held_out, read_column_rows
from tandem.batches.row_blocks import RowBlocks, RowStream, arrow_blocks, split_held_out
from tandem.batches.rows import EpochKey
from tandem.batches.shards import StepPlan, count_rows
from tandem.batches.stream_sizes import Shard, StreamSizes, stream_sizes
from tandem.batches.streaming import StreamedRows, read_ahead, shuffled_in_buffer
from tandem.errors import UserError

ROWS = 5_003
SIZES = StreamSizes(open_groups=3, block_rows=64, buffer_rows=400)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two files, of row groups far larger than a block; ``number`` is the row's own, and ``share`` a part of it."""
    folder = tmp_path / "train.parquet"
    folder.mkdir()
    number = np.arange(ROWS)
    table = pa.table(
        {"number": number.astype(np.int32), "share": number / ROWS, "label": (number % 2).astype(np.int32)}
    )
    pq.write_table(table.slice(0, 3_000), folder / "part-0.parquet", row_group_size=700)
    pq.write_table(table.slice(3_000), folder / "part-1.parquet", row_group_size=900)
    return folder


def streams(path: Path, rank: int = 0, size: int = 1, held: float = 0.2) -> tuple[RowStream, RowStream]:
    return split_held_out(RowBlocks(Shard(path, ("number", "label"), ("share",), rank, size), SIZES), held, 7)


def epoch_of(rows: StreamedRows | ColumnRows, epoch: int, rank: int = 0, batch: int = 150) -> list[int]:
    """The numbers of the rows in the order of an epoch; their other columns have come along."""
    batches = rows.epoch(EpochKey(1, epoch, rank))
    numbers: list[int] = []
    for start in range(0, len(rows), batch):
        ints, floats = batches(slice(start, min(start + batch, len(rows))))
        np.testing.assert_allclose(floats[:, 0], ints[:, 0] / ROWS, rtol=1e-6)
        assert (ints[:, 1] == ints[:, 0] % 2).all()
        numbers += ints[:, 0].tolist()
    return numbers


@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_rank_has_the_rows_that_it_would_have_in_memory_once_an_epoch(path: Path, size: int) -> None:
    everything: list[int] = []
    for rank in range(size):
        training, watched = streams(path, rank, size)
        rows = read_column_rows(path, ("number", "label"), ("share",), rank, size)
        mask = held_out(path, 0.2, 7, rank, size)
        streamed = StreamedRows(training)
        assert sorted(epoch_of(streamed, 0, rank)) == rows.where(~mask).column("number").tolist()
        assert np.concatenate([block.ints[:, 0] for block in watched]).tolist() == rows.where(mask).ints[:, 0].tolist()
        assert streamed.fingerprint() == rows.where(~mask).fingerprint()
        assert len(streamed) == int((~mask).sum())
        everything += epoch_of(streamed, 1, rank) + [row for block in watched for row in block.ints[:, 0].tolist()]
    assert sorted(everything) == list(range(ROWS))


def test_an_order_belongs_to_seed_epoch_and_rank(path: Path) -> None:
    rows = StreamedRows(streams(path)[0])
    order = epoch_of(rows, 0)
    assert order == epoch_of(StreamedRows(streams(path)[0]), 0), "and not on what a thread is up to"
    assert order == epoch_of(rows, 0, batch=37), "nor on the size of a batch"
    assert order != epoch_of(rows, 1)
    assert order != epoch_of(rows, 0, rank=1)


def test_neighbours_in_the_files_are_spread_and_far_rows_meet(path: Path) -> None:
    order = np.array(epoch_of(StreamedRows(streams(path, held=0.0)[0]), 0))
    assert np.abs(np.diff(order)).mean() > 700, "rows of several row groups stand side by side"
    place = np.argsort(order)
    assert np.abs(np.diff(place)).mean() > 200, "rows of one block are far apart"


def test_all_ranks_take_equally_many_steps(path: Path) -> None:
    shards = [len(StreamedRows(streams(path, rank, 3)[0])) for rank in range(3)]
    plan = StepPlan.of(shards, 200)
    for rank in range(3):
        batches = StreamedRows(streams(path, rank, 3)[0]).epoch(EpochKey(1, 0, rank))
        taken = [len(batches(plan.rows(rank, step))[0]) for step in range(plan.steps)]
        assert sum(taken) == shards[rank]
        assert min(taken) > 0
    assert sum(shards) == count_rows(path) - int(held_out(path, 0.2, 7).sum())


@pytest.mark.parametrize("capacity", [10, 64, 200, 10_000])
def test_a_buffer_loses_nothing_whatever_its_size(capacity: int) -> None:
    def blocks() -> Iterator[ColumnRows]:
        for start in range(0, 1_000, 10):
            numbers = np.arange(start, start + 10, dtype=np.int32)[:, None]
            yield ColumnRows(("a",), ("b",), numbers, numbers.astype(np.float32))

    out = list(shuffled_in_buffer(blocks(), capacity, np.random.default_rng(0)))
    numbers = np.concatenate([block.ints[:, 0] for block in out])
    assert sorted(numbers.tolist()) == list(range(1_000))
    assert (numbers != np.arange(1_000)).any()
    assert all((block.ints == block.floats).all() for block in out)
    assert max(map(len, out)) == 10


def test_blocks_are_small_however_large_a_row_group_is(path: Path) -> None:
    shard = Shard(path, ("number",), (), 1, 2)
    blocks = [batch for part in shard.parts() for batch, _ in arrow_blocks(part, ("number",), 50)]
    assert max(map(len, blocks)) == 50
    firsts = [
        (first, batch.column(0)[0].as_py())
        for part in shard.parts()
        for batch, first in arrow_blocks(part, ("number",), 50)
    ]
    assert all(first == number for first, number in firsts)


def test_rows_that_fit_stay_in_memory(path: Path) -> None:
    shard = Shard(path, ("number", "label"), ("share",))
    assert stream_sizes(shard, None, "wnd.memory_limit_mb") is None
    assert stream_sizes(shard, 4 * 12 * ROWS / 1e6, "wnd.memory_limit_mb") is None
    sizes = StreamSizes.of(10e6, 12, 300_000, "wnd.memory_limit_mb")
    assert sizes.open_groups * 300_000 + (sizes.buffer_rows + 10 * sizes.block_rows) * 12 < 10e6
    assert sizes.buffer_rows * 12 > 2e6
    with pytest.raises(
        UserError, match=r"wnd\.memory_limit_mb: 0\.01 MB are too few to read these rows; set at least 1"
    ):
        stream_sizes(shard, 0.01, "wnd.memory_limit_mb")


def test_what_is_wrong_with_any_row_is_found_before_training(path: Path) -> None:
    with pytest.raises(UserError, match="has no column other"):
        StreamedRows(RowStream(RowBlocks(Shard(path, ("other",), ()), SIZES), lambda block: block.rows))
    table = pa.table(
        {"number": pa.array([1, 2, None], pa.int32()), "share": [0.0, 1.0, float("inf")], "label": [1, 1, 0]}
    )
    pq.write_table(table, path / "part-2.parquet")
    with pytest.raises(UserError, match="1 empty values in column number"):
        StreamedRows(streams(path)[0])
    pq.write_table(table.slice(2).set_column(0, "number", pa.array([3], pa.int32())), path / "part-2.parquet")
    with pytest.raises(UserError, match="column share has values that are not finite"):
        StreamedRows(streams(path)[0])


def test_rows_that_vanish_while_training_are_one_line(path: Path) -> None:
    rows = StreamedRows(streams(path)[0])
    batches = rows.epoch(EpochKey(1, 0, 0))
    batches(slice(0, len(rows)))
    with pytest.raises(UserError, match="have become fewer since the start"):
        batches(slice(0, 1))


def test_a_reader_stays_a_little_ahead_and_ends_when_nobody_listens() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(1, 1_000):
            made.append(number)
            yield number

    ahead = read_ahead(source(), 3)
    assert [next(ahead), next(ahead)] == [1, 2]
    time.sleep(0.3)
    assert len(made) <= 2 + 3 + 1
    del ahead
    gc.collect()
    deadline = time.monotonic() + 5.0
    while any(thread.name == "read ahead" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(thread.name == "read ahead" for thread in threading.enumerate())


def test_what_a_reader_raises_is_raised_where_it_is_read() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise UserError("broken")

    ahead = read_ahead(source())
    assert next(ahead) == 1
    with pytest.raises(UserError, match="broken"):
        next(ahead)
