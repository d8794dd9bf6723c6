import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.batches.columns import ColumnRows
from tandem.errors import UserError
from tandem.models.two_tower.keys import (
    SHARE,
    distinct,
    key_names,
    keys_of,
    read_rows,
    with_keys,
    within,
)
from tandem.parameters import TowerParameters, TwoTowerModelParameters

USER = TowerParameters(embeddings=("user",), continuous=("age",))
ITEM = TowerParameters(embeddings=("tweet", "author"), indicators=("kind",))
MODEL = TwoTowerModelParameters(user=USER, item=ITEM)
SIZES = {"user": 6, "tweet": 9, "author": 4, "kind": 3}


def users_of(ids, ages):
    rows = ColumnRows(("user",), ("age",), np.array([ids], np.int32).T, np.array([ages], np.float32).T)
    return within(rows, SIZES)


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    columns = {name: rng.integers(0, size, 40).astype(np.int32) for name, size in SIZES.items()}
    columns |= {"age": rng.random(40).astype(np.float32), "label": rng.integers(0, 2, 40).astype(np.int32)}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_a_known_user_is_its_id_and_an_unknown_one_all_that_is_read_of_it():
    keys = keys_of(users_of([1, 2, 1, 0, 0, 0], [0.1, 0.2, 0.9, 0.5, 0.5, 0.7]), "user", USER)
    assert keys[:3].tolist() == [1, 2, 1]
    assert keys[3] == keys[4] != keys[5]
    assert keys[5] < 0


def test_ids_beyond_their_table_are_unknown():
    assert users_of([1, 5, 6, 99, -1], [0.0] * 5).column("user").tolist() == [1, 5, 0, 0, 0]


def test_a_side_without_its_identity_is_told_apart_by_all_columns():
    columns = TowerParameters(embeddings=("author",), indicators=("kind",))
    ids = np.array([[1, 1], [1, 2], [1, 1]], np.int32)
    keys = keys_of(ColumnRows(("author", "kind"), (), ids, np.empty((3, 0), np.float32)), "item", columns)
    assert keys[0] == keys[2] != keys[1]


def test_distinct_is_the_first_row_of_each_key():
    first, place = distinct(np.array([7, -3, 7, 9, -3]))
    assert first.tolist() == [1, 0, 3]
    assert place.tolist() == [1, 0, 1, 2, 0]


def test_two_ranks_read_all_rows_with_the_keys_of_one(path):
    whole = read_rows(path, MODEL, SIZES, 0, 1)
    parts = [read_rows(path, MODEL, SIZES, rank, 2) for rank in range(2)]
    keys = [keys_of(part, "item", ITEM) for part in parts]
    assert np.array_equal(np.concatenate(keys), keys_of(whole, "item", ITEM))
    assert np.array_equal(np.concatenate([part.column("label") for part in parts]), whole.column("label"))


def test_a_missing_column_is_one_line(path):
    model = MODEL.model_copy(update={"user": TowerParameters(continuous=("height",))})
    with pytest.raises(UserError, match="has no column height"):
        read_rows(path, model, SIZES, 0, 1)


def test_keys_travel_as_two_halves():
    rows = users_of([1, 2, 3], [0.0] * 3)
    users, items = np.array([5, -(1 << 62), (1 << 40) + 7]), np.array([-1, 2**31, -(2**31)])
    keyed = with_keys(rows, users, items, np.array([0.5, 0.25, 0.25]))
    for side, keys in (("user", users), ("item", items)):
        high, low = (keyed.column(name).astype(np.int64) for name in key_names(side))
        assert np.array_equal((high << 32) | (low & 0xFFFFFFFF), keys)
    assert keyed.column(SHARE).tolist() == [0.5, 0.25, 0.25]
    assert keyed.column("user").tolist() == [1, 2, 3]
