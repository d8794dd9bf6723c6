"""Stored rows of NCF that are read anew every epoch."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.batches.row_blocks import RowBlocks, RowStream
from tandem.batches.rows import EpochKey
from tandem.batches.stream_sizes import Shard, StreamSizes
from tandem.batches.streaming import StreamedRows
from tandem.models.ncf.streamed_pairs import COLUMNS, StreamedInteractions, StreamedPairs

ROWS = 2_000


@pytest.fixture
def stream(tmp_path: Path) -> RowStream:
    """User n has item n and the label n modulo 2."""
    number = np.arange(1, ROWS + 1, dtype=np.int32)
    values = (number, number, number % 2, np.zeros(ROWS, np.int32))
    pq.write_table(pa.table(dict(zip(COLUMNS, values, strict=True))), tmp_path / "rows.parquet", row_group_size=300)
    blocks = RowBlocks(Shard(tmp_path / "rows.parquet", COLUMNS, ()), StreamSizes(2, 64, 300))
    return RowStream(blocks, lambda block: block.rows)


def test_an_epoch_has_every_row_once_with_its_label_and_an_order_of_its_own(stream: RowStream) -> None:
    rows = StreamedInteractions(StreamedRows(stream))
    orders = []
    for epoch in (0, 0, 1):
        batches = rows.epoch(EpochKey(7, epoch, 0))
        parts = [batches(slice(start, start + 100)) for start in range(0, ROWS, 100)]
        users = np.concatenate([part.users.numpy() for part in parts])
        assert all((part.users == part.items).all() for part in parts)
        assert all((part.labels == part.users % 2).all() for part in parts)
        orders.append(users.tolist())
    assert sorted(orders[0]) == list(range(1, ROWS + 1))
    assert orders[0] == orders[1] != orders[2]


def test_the_share_of_unknown_ids_holds_in_small_batches_too(stream: RowStream) -> None:
    batches = StreamedInteractions(StreamedRows(stream), unknown_rate=0.1).epoch(EpochKey(7, 0, 0))
    parts = [batches(slice(start, start + 4)) for start in range(0, ROWS, 4)]
    for name in ("users", "items"):
        unknown = sum(int((getattr(part, name) == 0).sum()) for part in parts)
        assert unknown == pytest.approx(0.1 * ROWS, rel=0.25)


def test_pairs_come_in_the_order_of_the_file(stream: RowStream) -> None:
    pairs = StreamedPairs(stream)
    for _ in range(2):
        users = np.concatenate([some.users for some, _ in pairs])
        labels = np.concatenate([labels for _, labels in pairs])
        assert users.tolist() == list(range(1, ROWS + 1))
        assert (labels == users % 2).all()
