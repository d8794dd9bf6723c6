"""Rows of columns in memory: read by rank, held out by number, shuffled by (seed, epoch, rank)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.batches.columns import ColumnRows, drop_ids, held_out, read_column_rows
from tandem.batches.rows import EpochKey
from tandem.errors import UserError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = np.arange(1000)
    table = pa.table({"user": (rows % 7).astype(np.int32), "label": (rows % 2).astype(np.int32), "age": rows / 1000.0})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=300)
    return tmp_path / "train.parquet"


def test_ids_and_numbers_stand_in_a_matrix_each(path: Path) -> None:
    rows = read_column_rows(path, ("user", "label"), ("age",))
    assert (rows.ints.dtype, rows.ints.shape) == (np.int32, (1000, 2))
    assert (rows.floats.dtype, rows.floats.shape) == (np.float32, (1000, 1))
    assert rows.column("user")[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert rows.column("age")[500] == np.float32(0.5)
    even = rows.where(rows.column("label") == 0)
    assert len(even) == 500
    assert set(even.column("label").tolist()) == {0}


def test_the_ranks_share_the_rows(path: Path) -> None:
    parts = [read_column_rows(path, ("user",), ("age",), rank, 3) for rank in range(3)]
    whole = read_column_rows(path, ("user",), ("age",))
    np.testing.assert_array_equal(np.concatenate([part.ints for part in parts]), whole.ints)
    assert sum(part.fingerprint() for part in parts) % (1 << 64) == whole.fingerprint()


def test_held_out_rows_do_not_depend_on_the_number_of_ranks(path: Path) -> None:
    whole = held_out(path, 0.2, 7)
    parts = [held_out(path, 0.2, 7, rank, 3) for rank in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert 0.15 < whole.mean() < 0.25
    assert (whole != held_out(path, 0.2, 8)).any()
    assert not held_out(path, 0.0, 7).any()


def test_an_order_belongs_to_seed_epoch_and_rank(path: Path) -> None:
    rows = read_column_rows(path, ("user",), ("age",))

    def order(*key: int) -> list[float]:
        batches = rows.epoch(EpochKey(*key))
        return [age for start in range(0, 1000, 100) for age in batches(slice(start, start + 100))[1][:, 0].tolist()]

    assert sorted(order(1, 2, 0)) == rows.column("age").tolist()
    assert order(1, 2, 0) == order(1, 2, 0)
    assert all(order(1, 2, 0) != order(*key) for key in ((2, 2, 0), (1, 3, 0), (1, 2, 1)))


def test_forgotten_ids_are_unknown_at_the_rate() -> None:
    ints = drop_ids(np.ones((20_000, 3), np.int32), [0, 2], 0.1, np.random.default_rng(0))
    shares = (ints == 0).mean(axis=0)
    assert shares[1] == 0.0
    assert shares[[0, 2]] == pytest.approx([0.1, 0.1], abs=0.01)
    assert (drop_ids(np.ones((10, 1), np.int32), [0], 0.0, np.random.default_rng(0)) == 1).all()


def test_the_fingerprint_tells_rows_from_others_and_not_their_order() -> None:
    rows = ColumnRows(("a",), ("b",), np.array([[1], [2]], np.int32), np.array([[0.5], [0.25]], np.float32))
    turned = ColumnRows(("a",), ("b",), rows.ints[::-1].copy(), rows.floats[::-1].copy())
    other = ColumnRows(("a",), ("b",), rows.ints, rows.floats[::-1].copy())
    assert rows.fingerprint() == turned.fingerprint() != other.fingerprint()


def test_numbers_that_are_not_finite_are_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, 2], "age": [0.5, float("nan")]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="column age has values that are not finite"):
        read_column_rows(tmp_path / "train.parquet", ("user",), ("age",))
