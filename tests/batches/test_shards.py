from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.batches.shards import StepPlan, count_rows, rank_range, read_columns
from tandem.errors import UserError


@pytest.fixture
def dataset(tmp_path):
    """103 rows in two files of row groups of ten."""
    values = np.arange(103, dtype=np.int32)
    for name, rows in (("part-0.parquet", values[:40]), ("part-1.parquet", values[40:])):
        pq.write_table(pa.table({"a": rows, "b": rows * 2}), tmp_path / name, row_group_size=10)
    return tmp_path


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_ranks_read_disjoint_rows_that_cover_all(dataset, size):
    parts = [read_columns(dataset, ["a", "b"], rank, size) for rank in range(size)]
    assert np.concatenate([part["a"] for part in parts]).tolist() == list(range(103))
    assert max(len(part["a"]) for part in parts) - min(len(part["a"]) for part in parts) <= 1
    for part in parts:
        assert (part["b"] == part["a"] * 2).all()


def test_more_ranks_than_rows_leave_some_without(dataset):
    assert sum(len(read_columns(dataset, ["a"], rank, 200)["a"]) for rank in range(200)) == count_rows(dataset) == 103


def test_what_is_missing_is_named(dataset, tmp_path):
    with pytest.raises(UserError, match="no column c"):
        read_columns(dataset, ["c"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no Parquet file"):
        read_columns(tmp_path / "empty", ["a"])


def test_empty_values_are_an_error(tmp_path):
    pq.write_table(pa.table({"a": pa.array([1, None], pa.int32())}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="1 empty values in column a"):
        read_columns(tmp_path / "a.parquet", ["a"])


@given(rows=st.integers(1, 10_000), ranks=st.integers(1, 9), batch=st.integers(1, 3_000))
def test_steps_use_every_row_once_in_batches_of_nearly_equal_size(rows, ranks, batch):
    shards = [len(rank_range(rows, rank, ranks)) for rank in range(ranks)]
    if min(shards) < max(1, -(-rows // batch)):
        with pytest.raises(UserError, match="use fewer ranks"):
            StepPlan.of(shards, batch)
        return
    plan = StepPlan.of(shards, batch)
    for rank in range(ranks):
        slices = [plan.rows(rank, step) for step in range(plan.steps)]
        assert slices[0].start == 0
        assert slices[-1].stop == shards[rank]
        assert all(a.stop == b.start for a, b in pairwise(slices))
        assert all(part.stop > part.start for part in slices)
    assert sum(plan.global_rows(step) for step in range(plan.steps)) == rows
    assert max(plan.global_rows(step) for step in range(plan.steps)) <= batch + ranks
