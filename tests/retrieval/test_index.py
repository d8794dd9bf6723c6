import numpy as np
import pyarrow as pa
import pytest

from tandem.errors import UserError
from tandem.parameters import IndexParameters
from tandem.retrieval.approximation import recall_against_flat
from tandem.retrieval.index import NOTHING, VectorIndex, build_index, load_index, save_index

ITEMS, DIM = 400, 16
KINDS = {
    "flat": IndexParameters(kind="flat"),
    "hnsw": IndexParameters(kind="hnsw", hnsw_links=8),
    "ivf": IndexParameters(kind="ivf", ivf_lists=10, ivf_probes=4),
}


def vectors(rows: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


ITEM_VECTORS, QUERIES = vectors(ITEMS, 0), vectors(50, 1)


def ids(rows: int = ITEMS) -> pa.Array:
    return pa.array([f"tweet-{row}" for row in range(rows)])


def built(kind: str = "flat") -> VectorIndex:
    return build_index(ITEM_VECTORS, ids(), KINDS[kind], "model")


def test_flat_finds_what_a_matrix_product_finds():
    found, products = built().search(QUERIES, 7, "model")
    scores = QUERIES @ ITEM_VECTORS.T
    assert np.array_equal(found, np.argsort(-scores, axis=1)[:, :7])
    assert np.allclose(products, np.sort(scores)[:, :-8:-1], atol=1e-6)


def test_equal_products_come_in_the_order_of_the_rows():
    index = build_index(np.ones((9, 2), np.float32), ids(9), KINDS["flat"], "model")
    found, _ = index.search(np.ones((3, 2), np.float32), 9, "model")
    assert np.array_equal(found, np.tile(np.arange(9), (3, 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_on_disk_is_the_one_in_memory(tmp_path, kind):
    index = built(kind)
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index")
    assert loaded.info == index.info
    assert loaded.ids.equals(index.ids)
    for left, right in zip(index.search(QUERIES, 5, "model"), loaded.search(QUERIES, 5, "model"), strict=True):
        assert np.array_equal(left, right)


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_an_index_comes_out_the_same_every_time(kind):
    first, second = (built(kind).search(QUERIES, 10, "model")[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_recall_of_an_approximate_index_is_that_of_counting_by_hand():
    assert recall_against_flat(built("flat"), ITEM_VECTORS, QUERIES, 10) == 1.0
    index = built("ivf")
    exact, found = built().search(QUERIES, 10, "model")[0], index.search(QUERIES, 10, "model")[0]
    by_hand = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])
    recall = recall_against_flat(index, ITEM_VECTORS, QUERIES, 10)
    assert 0.3 < recall < 1.0
    assert recall == pytest.approx(by_hand)
    assert recall_against_flat(built("hnsw"), ITEM_VECTORS, QUERIES, 10) > 0.9


def test_recall_over_more_neighbours_than_items_is_over_all_items():
    assert recall_against_flat(built("hnsw"), ITEM_VECTORS, QUERIES, 10 * ITEMS) > 0.9


def test_a_probe_that_finds_too_few_says_nothing_for_the_rest():
    index = build_index(ITEM_VECTORS, ids(), IndexParameters(kind="ivf", ivf_lists=100, ivf_probes=1), "model")
    found, products = index.search(QUERIES, 40, "model")
    assert (found == NOTHING).any()
    assert np.array_equal(found == NOTHING, np.isneginf(products))


def test_more_neighbours_than_items_is_one_line():
    with pytest.raises(UserError, match=r"401 neighbours are asked of an index of 400 items; lower two_tower\.rec"):
        built().search(QUERIES, ITEMS + 1, "model")


def test_vectors_of_another_model_are_refused():
    with pytest.raises(UserError, match="item vectors are of the model model, the user vectors of other; make both"):
        built().search(QUERIES, 5, "other")


def test_what_cannot_be_indexed_is_one_line():
    with pytest.raises(UserError, match="there are no items"):
        build_index(ITEM_VECTORS[:0], ids(0), KINDS["flat"], "model")
    with pytest.raises(UserError, match="500 cells for 400 items; use at most 400"):
        build_index(ITEM_VECTORS, ids(), IndexParameters(kind="ivf", ivf_lists=500), "model")
    with pytest.raises(UserError, match="not finite"):
        build_index(ITEM_VECTORS * np.nan, ids(), KINDS["flat"], "model")


def test_a_damaged_or_missing_index_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"index.faiss does not exist; make it: kedro run --pipelines two_tower"):
        load_index(tmp_path)
    save_index(built(), tmp_path)
    whole = (tmp_path / "index.faiss").read_bytes()
    (tmp_path / "index.faiss").write_bytes(whole[:50])
    with pytest.raises(UserError, match="is damaged"):
        load_index(tmp_path)
    save_index(build_index(ITEM_VECTORS[:9], ids(9), KINDS["flat"], "model"), tmp_path / "nine")
    (tmp_path / "index.faiss").write_bytes((tmp_path / "nine" / "index.faiss").read_bytes())
    with pytest.raises(UserError, match="do not fit each other"):
        load_index(tmp_path)
