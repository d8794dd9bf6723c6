"""Scores to lists: deterministic, without the seen, in blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tandem.errors import UserError
from tandem.evaluation import lists
from tandem.evaluation.lists import PADDING, Lists, top_k


def naive(scores: np.ndarray, seen: np.ndarray, k: int) -> list[list[int]]:
    rows = []
    for row, gone in zip(scores, seen, strict=True):
        order = sorted((-score, item) for item, score in enumerate(row) if not gone[item] and score > -np.inf)
        rows.append([item for _, item in order][:k])
    return rows


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_agrees_with_sorting_by_score_then_item(users: int, items: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, seen = rng.integers(0, 4, (users, items)).astype(np.float32), rng.random((users, items)) < 0.3
    scores[rng.random((users, items)) < 0.1] = -np.inf
    found, values = top_k(scores, sparse.csr_matrix(seen), k)
    assert found.shape == values.shape == (users, k)
    assert [[i for i in row if i != PADDING] for row in found.tolist()] == naive(scores, seen, k)
    assert np.isneginf(values[found == PADDING]).all()
    row, rank = np.nonzero(found != PADDING)
    assert (values[row, rank] == scores[row, found[row, rank]]).all()


def test_equal_scores_go_to_the_smaller_item() -> None:
    assert top_k(np.zeros((2, 500)), None, 3)[0].tolist() == [[0, 1, 2]] * 2


def test_blocks_do_not_change_the_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores, seen = rng.random((50, 30)), sparse.random(50, 30, 0.2, format="csr", random_state=0)
    before, whole = scores.copy(), top_k(scores, seen, 5)[0]
    monkeypatch.setattr(lists, "_BLOCK_CELLS", 70)
    assert (top_k(scores, seen, 5)[0] == whole).all()
    assert (scores == before).all()


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nothing_to_rank_is_padding(shape: tuple[int, int]) -> None:
    found, _ = top_k(np.zeros(shape), None, 2)
    assert found.shape == (shape[0], 2)
    assert (found == PADDING).all()


def test_not_a_number_is_refused() -> None:
    with pytest.raises(UserError, match="1 of 2 are not a number"):
        top_k(np.array([[np.nan, 1.0]]), None, 1)


def test_matrix_of_lists_to_rows_leaves_padding_out() -> None:
    rows = Lists.of_matrix(np.array([7, 8]), np.array([[3, 1], [2, PADDING]]))
    assert np.array([rows.users, rows.items, rows.ranks]).T.tolist() == [[7, 3, 1], [7, 1, 2], [8, 2, 1]]
