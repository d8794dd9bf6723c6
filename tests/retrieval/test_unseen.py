import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from tandem.errors import UserError
from tandem.parameters import IndexParameters
from tandem.retrieval.index import NOTHING, build_index
from tandem.retrieval.unseen import nearest_unseen

USERS, ITEMS, DIM, K = 60, 30, 4, 8


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, sparse.csr_matrix]:
    """User vectors, item vectors, and what the users have seen: from nothing to everything."""
    rng = np.random.default_rng(3)
    users, items = rng.normal(size=(USERS, DIM)), rng.normal(size=(ITEMS, DIM))
    seen = rng.random((USERS, ITEMS)) < np.linspace(0.0, 1.0, USERS)[:, None]
    seen[0], seen[-1] = False, True
    return users.astype(np.float32), items.astype(np.float32), sparse.csr_matrix(seen)


def test_lists_are_the_best_unseen_items_however_many_were_seen(scene):
    users, items, seen = scene
    index = build_index(items, pa.array([str(i) for i in range(ITEMS)]), IndexParameters(), "model")
    found, scores = nearest_unseen(index, users, seen, K, "model")
    expected = np.where(seen.toarray(), -np.inf, users @ items.T)
    for user in range(USERS):
        best = np.argsort(-expected[user])[:K]
        best = best[np.isfinite(expected[user][best])]
        assert found[user, : len(best)].tolist() == best.tolist()
        assert (found[user, len(best) :] == NOTHING).all()
        assert np.allclose(scores[user, : len(best)], expected[user][best], atol=1e-5)
        assert np.isneginf(scores[user, len(best) :]).all()


def test_more_candidates_than_items_is_one_line(scene):
    users, items, seen = scene
    index = build_index(items, pa.array([str(i) for i in range(ITEMS)]), IndexParameters(), "model")
    with pytest.raises(UserError, match="31 neighbours are asked of an index of 30 items"):
        nearest_unseen(index, users, seen, ITEMS + 1, "model")
