from pathlib import Path

import numpy as np
import pytest

from tandem.errors import UserError
from tandem.sources.synthetic_movielens import draw_ratings, write_synthetic_movielens
from tandem.sources.synthetic_tastes import draw_activity, draw_items, draw_users


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated") / "movielens"
    return write_synthetic_movielens(out, users=400, items=600, ratings=30_000, seed=7)


@pytest.fixture(scope="module")
def ratings(generated: Path) -> np.ndarray:
    return np.loadtxt(generated / "u.data", dtype=np.int64, delimiter="\t")


def test_counts_are_exact_and_no_pair_repeats(generated: Path, ratings: np.ndarray) -> None:
    assert ratings.shape == (30_000, 4)
    assert len(np.unique(ratings[:, :2], axis=0)) == 30_000
    assert (ratings[:, 0].min(), ratings[:, 0].max()) == (1, 400)
    assert ratings[:, 1].min() >= 1
    assert ratings[:, 1].max() <= 600
    assert np.bincount(ratings[:, 0])[1:].min() >= 20
    assert set(ratings[:, 2]) == {1, 2, 3, 4, 5}
    assert (generated / "u.info").read_text() == "400 users\n600 items\n30000 ratings\n"


def test_the_files_have_the_published_formats(generated: Path) -> None:
    users = (generated / "u.user").read_text(encoding="latin-1").splitlines()
    assert [line.split("|")[0] for line in users] == [str(user) for user in range(1, 401)]
    assert all(len(line.split("|")) == 5 for line in users)
    items = (generated / "u.item").read_bytes().decode("latin-1").splitlines()
    assert len(items) == 600
    assert all(len(line.split("|")) == 5 + 19 for line in items)
    assert len({line.split("|")[1] for line in items}) == 600
    assert (generated / "u.genre").read_text().endswith("Western|18\n\n")
    with pytest.raises(UnicodeDecodeError):
        (generated / "u.item").read_text(encoding="utf-8")


def test_time_runs_forward_within_a_user(ratings: np.ndarray) -> None:
    same_user = ratings[1:, 0] == ratings[:-1, 0]
    assert (np.diff(ratings[:, 3])[same_user] >= 0).all()
    assert len(np.unique(ratings[np.r_[True, ~same_user], 3])) > 390


def test_the_same_seed_and_size_give_the_same_bytes(tmp_path: Path) -> None:
    sizes = {"users": 30, "items": 50, "ratings": 700}
    first = _files(write_synthetic_movielens(tmp_path / "a", **sizes, seed=1))
    assert _files(write_synthetic_movielens(tmp_path / "b", **sizes, seed=1)) == first
    assert _files(write_synthetic_movielens(tmp_path / "c", **sizes, seed=2))["u.data"] != first["u.data"]


def test_the_chunk_size_changes_nothing() -> None:
    users = draw_users(50, np.random.default_rng(0))
    items = draw_items(80, np.random.default_rng(1))
    activity = draw_activity(50, 80, 1_000, np.random.default_rng(2))
    whole, pieces = (
        np.concatenate(list(draw_ratings(users, items, activity, np.random.SeedSequence(3), cells=cells)))
        for cells in (10**6, 7 * 80)
    )
    np.testing.assert_array_equal(whole, pieces)


@pytest.mark.parametrize(("users", "items", "ratings"), [(2, 2, 2), (5, 4, 20), (3, 100, 1), (1, 1, 1), (10, 9, 71)])
def test_extreme_sizes_are_exact_too(tmp_path: Path, users: int, items: int, ratings: int) -> None:
    folder = write_synthetic_movielens(tmp_path / "out", users=users, items=items, ratings=ratings, seed=0)
    rows = np.loadtxt(folder / "u.data", dtype=np.int64, ndmin=2)
    assert len(np.unique(rows[:, :2], axis=0)) == len(rows) == ratings
    assert len((folder / "u.user").read_text().splitlines()) == users
    assert len((folder / "u.item").read_text(encoding="latin-1").splitlines()) == items


def test_impossible_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"21 ratings do not fit 5 users x 4 items.*at most 20"):
        write_synthetic_movielens(tmp_path / "out", users=5, items=4, ratings=21, seed=0)
    with pytest.raises(UserError, match=r"items must be at least 1, not 0"):
        write_synthetic_movielens(tmp_path / "out", users=5, items=0, ratings=1, seed=0)
    assert not (tmp_path / "out").exists()


def test_files_of_the_user_are_never_replaced(tmp_path: Path) -> None:
    real = tmp_path / "ml-100k"
    real.mkdir()
    (real / "u.data").write_text("1\t1\t5\t1\n")
    with pytest.raises(UserError, match=r"ml-100k holds files that were not generated"):
        write_synthetic_movielens(real, users=5, items=4, ratings=10, seed=0)
    assert _files(real) == {"u.data": b"1\t1\t5\t1\n"}


def test_a_generated_folder_can_be_generated_again(tmp_path: Path) -> None:
    write_synthetic_movielens(tmp_path / "out", users=5, items=4, ratings=10, seed=0)
    write_synthetic_movielens(tmp_path / "out", users=6, items=4, ratings=10, seed=0)
    assert (tmp_path / "out" / "u.info").read_text().startswith("6 users")


def test_a_better_model_scores_better(ratings: np.ndarray) -> None:
    users, items = ratings[:, 0] - 1, ratings[:, 1] - 1
    rng = np.random.default_rng(0)
    held_out = rng.random(len(ratings)) < 0.2
    seen = np.zeros((400, 600))
    seen[users[~held_out], items[~held_out]] = 1
    relevant = np.zeros((400, 600), dtype=bool)
    relevant[users[held_out], items[held_out]] = True

    by_chance = _ndcg_at_10(rng.random((400, 600)), seen, relevant)
    by_popularity = _ndcg_at_10(np.tile(seen.sum(axis=0), (400, 1)), seen, relevant)
    by_ease = _ndcg_at_10(seen @ _ease(seen, l2=100.0), seen, relevant)
    assert by_popularity > 2 * by_chance
    assert by_ease > 1.3 * by_popularity


def test_side_features_carry_some_signal(generated: Path, ratings: np.ndarray) -> None:
    """The genres that women choose differ from those that men choose by more than chance: chi-squared."""
    flags = np.loadtxt(generated / "u.item", dtype=str, delimiter="|", encoding="latin-1")[:, 5:].astype(int)
    women = np.array([line.split("|")[2] == "F" for line in (generated / "u.user").read_text().splitlines()])
    chosen = flags[ratings[:, 1] - 1]
    by_women, by_men = (chosen[women[ratings[:, 0] - 1] == gender].sum(axis=0)[1:] for gender in (True, False))
    table = np.stack([by_women, by_men]).astype(float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    assert ((table - expected) ** 2 / expected).sum() > 100  # 17 degrees of freedom: chance stays below 50


def _ease(seen: np.ndarray, l2: float) -> np.ndarray:
    """Item weights of EASE in closed form (Steck 2019)."""
    inverse = np.linalg.inv(seen.T @ seen + l2 * np.eye(seen.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def _ndcg_at_10(scores: np.ndarray, seen: np.ndarray, relevant: np.ndarray) -> float:
    top = np.argsort(-np.where(seen > 0, -np.inf, scores), axis=1)[:, :10]
    discounts = 1 / np.log2(np.arange(10) + 2)
    gains = (np.take_along_axis(relevant, top, axis=1) * discounts).sum(axis=1)
    ideal = np.array([discounts[: min(10, count)].sum() for count in relevant.sum(axis=1)])
    return float((gains[ideal > 0] / ideal[ideal > 0]).mean())
