from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.errors import UserError
from tandem.parameters import IndexParameters
from tandem.retrieval.candidates import SCHEMA, CandidateFiles, candidate_tables, choose_users
from tandem.retrieval.histories import known_users, seen_items
from tandem.retrieval.index import VectorIndex, build_index
from tandem.retrieval.vectors import read_vectors, vectors_of

ITEMS = np.array([[1.0, 0.0], [0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.0, 1.0]], np.float32)
ITEM_IDS = pa.array([f"t{item}" for item in range(5)])
USERS = {"anna": [1.0, 0.0], "ben": [0.0, 1.0], "cold": [0.3, 0.3]}
SHOWN = [("anna", "t1", 0), ("ben", "t4", 1), ("anna", "t1", 1), ("ben", "gone", 1), ("else", "t0", 1)]


def write(path: Path, **columns) -> Path:
    path.mkdir()
    table = pa.table(columns)
    pq.write_table(table.slice(0, 2), path / "part-00000.parquet")
    pq.write_table(table.slice(2), path / "part-00001.parquet")
    return path


@pytest.fixture
def files(tmp_path) -> CandidateFiles:
    users, tweets, labels = zip(*SHOWN, strict=True)
    return CandidateFiles(
        write(tmp_path / "vectors", id=list(USERS), vector=pa.array(list(USERS.values()), pa.list_(pa.float32()))),
        write(tmp_path / "users", user_id=list(USERS), user=pa.array([2, 1, 0], pa.int32())),
        write(tmp_path / "items", tweet_id=ITEM_IDS, popularity=[0, 7, 7, 20, 1]),
        write(tmp_path / "train", user_id=users, tweet_id=tweets, label=labels),
    )


@pytest.fixture
def index() -> VectorIndex:
    return build_index(ITEMS, ITEM_IDS, IndexParameters(), "model")


def lists(files, index, wanted, k=3) -> dict[str, list[str]]:
    rows = pa.concat_tables(candidate_tables(files, index, "model", wanted, k), promote_options="none").to_pylist()
    found = {row["user_id"]: [] for row in rows}
    for row in rows:
        found[row["user_id"]].append(row["tweet_id"])
        assert row["candidate_rank"] == len(found[row["user_id"]])
    return found


def test_known_users_get_their_nearest_unseen_items_and_others_popular_ones(files, index):
    wanted = choose_users(files.user_features, ("cold", "anna", "nobody", "ben", "anna"), seed=0)
    assert lists(files, index, wanted) == {
        "anna": ["t0", "t2", "t3"],
        "ben": ["t3", "t2", "t1"],
        "cold": ["t3", "t1", "t2"],
        "nobody": ["t3", "t1", "t2"],
    }
    sources = pa.concat_tables(candidate_tables(files, index, "model", wanted, 3))
    assert sources.schema == SCHEMA
    by_source = {(row["user_id"], row["source"]) for row in sources.to_pylist()}
    assert by_source == {("anna", "model"), ("ben", "model"), ("cold", "popularity"), ("nobody", "popularity")}


def test_popular_lists_hold_nothing_that_the_user_has_seen(files, index):
    """A user of too few training rows for an id has seen their items all the same."""
    train, test = (files.shown.parent / name for name in ("some", "others"))
    write(train, user_id=["cold", "cold", "cold"], tweet_id=["t3", "t2", "gone"], label=[1, 0, 1])
    shown = replace(files, shown=train)
    wanted = choose_users(files.user_features, ("cold", "nobody"), seed=0)
    assert lists(shown, index, wanted) == {"cold": ["t1", "t4", "t0"], "nobody": ["t3", "t1", "t2"]}
    assert lists(shown, index, wanted, 5)["cold"] == ["t1", "t4", "t0"]
    write(test, user_id=["cold", "anna", "else"], tweet_id=["t1", "t0", "t4"], label=[0, 1, 1])
    wanted = choose_users(files.user_features, ("anna", "cold"), seed=0)
    assert lists(replace(files, shown=(train, test)), index, wanted) == {
        "anna": ["t1", "t2", "t3"],
        "cold": ["t4", "t0"],
    }


def test_all_or_a_number_of_users_that_the_seed_draws(files):
    assert choose_users(files.user_features, "all", 0).to_pylist() == ["anna", "ben", "cold"]
    drawn = [choose_users(files.user_features, 2, seed).to_pylist() for seed in range(20)]
    assert all(len(one) == 2 and one == sorted(one) for one in drawn)
    assert len({tuple(one) for one in drawn}) == 3
    assert choose_users(files.user_features, 2, 5) == choose_users(files.user_features, 2, 5)
    assert len(choose_users(files.user_features, 10, 0)) == 3


def test_more_candidates_than_items_or_another_models_index_is_one_line(files, index):
    everyone = choose_users(files.user_features, "all", 0)
    with pytest.raises(UserError, match="6 neighbours are asked of an index of 5 items"):
        list(candidate_tables(files, index, "model", everyone, 6))
    with pytest.raises(UserError, match="of the model model, the user vectors of another"):
        list(candidate_tables(files, index, "another", everyone, 3))


def test_seen_is_what_a_training_row_showed_whatever_its_label(files):
    seen = seen_items(files.shown, pa.array(["ben", "anna"]), ITEM_IDS).toarray()
    assert seen.tolist() == [[False, False, False, False, True], [False, True, False, False, False]]
    assert known_users(files.user_features, pa.array(["cold", "anna", "nobody"])).tolist() == [False, True, False]


def test_vectors_are_read_in_the_order_of_their_ids(files, tmp_path):
    ids, vectors = read_vectors(files.user_embeddings)
    assert ids.to_pylist() == ["anna", "ben", "cold"]
    assert np.array_equal(vectors, np.array(list(USERS.values()), np.float32))
    chosen, there = vectors_of(files.user_embeddings, pa.array(["nobody", "ben"]))
    assert there.tolist() == [False, True]
    assert chosen.tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_two_vectors_of_one_id_are_refused(tmp_path):
    """The reference dropped duplicates of (id, vector), which left an id several vectors."""
    path = write(tmp_path / "v", id=["a", "b", "a"], vector=pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float32())))
    with pytest.raises(UserError, match="holds two vectors of one id; make it again"):
        read_vectors(path)
