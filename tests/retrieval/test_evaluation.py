import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tandem.parameters import IndexParameters, TwoTowerParameters
from tandem.retrieval.evaluation import RetrievalFiles, evaluate_retrieval, make_scene
from tandem.retrieval.index import build_index
from tandem.retrieval.vectors import read_vectors

USERS, ITEMS, GROUPS = 40, 400, 20
PARAMETERS = TwoTowerParameters(evaluated_users=1_000)


def _names(letter, numbers):
    return [f"{letter}{number:03d}" for number in numbers]


def _vectors(path, letter, count):
    """Of users and items of a group: alike."""
    rng = np.random.default_rng(1)
    groups = np.eye(GROUPS, dtype=np.float32)[np.arange(count) % GROUPS] + 0.01 * rng.random((count, GROUPS))
    lists = pa.array(groups.astype(np.float32).tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": _names(letter, range(count)), "vector": lists}), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> RetrievalFiles:
    """A user took the 20 items of its group, of which half are test rows; the last user is a new one."""
    folder = tmp_path_factory.mktemp("retrieval")
    users, items = (side.ravel() for side in np.meshgrid(np.arange(USERS), np.arange(ITEMS), indexing="ij"))
    own = users % GROUPS == items % GROUPS
    test = own & (items // GROUPS % 2 == 0)
    for name, rows in (("train", own & ~test & (users < USERS - 1)), ("test", test)):
        columns = {"user_id": _names("u", users[rows]), "tweet_id": _names("t", items[rows]), "label": [1] * rows.sum()}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    ids = [number + 1 if number < USERS - 1 else 0 for number in range(USERS)]
    pq.write_table(pa.table({"user_id": _names("u", range(USERS)), "user": ids}), folder / "users.parquet")
    popular = pa.table({"tweet_id": _names("t", range(ITEMS)), "popularity": np.arange(ITEMS)[::-1] // 100})
    pq.write_table(popular, folder / "items.parquet")
    return RetrievalFiles(
        _vectors(folder / "user_vectors.parquet", "u", USERS),
        _vectors(folder / "item_vectors.parquet", "t", ITEMS),
        folder / "users.parquet",
        folder / "items.parquet",
        folder / "train.parquet",
        folder / "test.parquet",
    )


def index_of(files, kind="flat"):
    ids, vectors = read_vectors(files.item_embeddings)
    return build_index(vectors, ids, IndexParameters(kind=kind, ivf_lists=20, ivf_probes=2), "model")


def test_vectors_that_know_the_groups_find_everything_and_random_ones_a_hundredth_of_it(files):
    found = evaluate_retrieval(files, index_of(files), PARAMETERS, seed=1)
    known = (USERS - 1) / USERS
    assert found["facts"]["evaluated_cold_users"] == 1
    assert found["model"]["recall@10"] == pytest.approx(known, abs=0.02)
    assert found["model"]["ndcg@10"] == pytest.approx(known, abs=0.02)
    assert found["model"]["recall@100"] == pytest.approx((USERS - 1 + 0.3) / USERS), (
        "3 of the new user's 10 are popular"
    )
    assert found["random"]["recall@100"] == pytest.approx(0.25, abs=0.06)
    assert found["popularity"]["recall@10"] < 0.1
    assert found["facts"]["index_recall@100"] == 1.0


def test_an_approximate_index_is_told_apart_from_the_model(files):
    found = evaluate_retrieval(files, index_of(files, "ivf"), PARAMETERS, seed=1)
    assert 0.05 < found["facts"]["index_recall@100"] < 0.9
    assert found["model"] == evaluate_retrieval(files, index_of(files), PARAMETERS, seed=1)["model"]


def test_what_was_seen_does_not_count_and_what_no_table_knows_is_missed(files, tmp_path):
    item_ids = read_vectors(files.item_embeddings)[0].slice(0, 100)
    test = pa.table({"user_id": ["u000"] * 4, "tweet_id": ["t020", "t000", "t040", "t399"], "label": [1, 1, 0, 1]})
    pq.write_table(test, tmp_path / "test.parquet")
    scene = make_scene(RetrievalFiles(**(vars(files) | {"test": tmp_path / "test.parquet"})), item_ids, 10, 0)
    assert scene.left_out == 1
    assert sorted(scene.relevant.items)[0] == 0
    assert sorted(scene.relevant.items)[1] >= 100
    assert len(scene.relevant.users) == 2


def test_rows_without_an_id_are_no_user_and_no_item(files, tmp_path):
    item_ids = read_vectors(files.item_embeddings)[0]
    test = pa.table({"user_id": ["", "u000", "u001"], "tweet_id": ["t000", "", "t001"], "label": [1, 1, 1]})
    pq.write_table(test, tmp_path / "test.parquet")
    scene = make_scene(RetrievalFiles(**(vars(files) | {"test": tmp_path / "test.parquet"})), item_ids, 10, 0)
    assert scene.ids.to_pylist() == ["u001"]
    assert scene.relevant.items.tolist() == [1]


def test_the_seed_draws_the_users(files):
    item_ids = read_vectors(files.item_embeddings)[0]
    drawn = [make_scene(files, item_ids, 5, seed).ids.to_pylist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 5


def test_without_a_positive_test_row_nothing_is_defined_and_nothing_fails(files, tmp_path):
    pq.write_table(pa.table({"user_id": ["u000"], "tweet_id": ["t000"], "label": [0]}), tmp_path / "test.parquet")
    nothing = RetrievalFiles(**(vars(files) | {"test": tmp_path / "test.parquet"}))
    found = evaluate_retrieval(nothing, index_of(files), PARAMETERS, seed=1)
    assert found["facts"]["evaluated_users"] == 0
    assert found["facts"]["index_recall@100"] is None
    assert {value for name in ("model", "popularity", "random") for value in found[name].values()} == {None}
