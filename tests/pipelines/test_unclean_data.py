"""Raw files as they come from a real log: duplicates, ratings of the unknown, and users with a single rating."""

import json
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from projects import Project

LATER, SINGLE, SILENT, ORPHAN_USER, ORPHAN_ITEM = 999_999_999, 901, 902, 903, 9_001


@pytest.fixture(scope="module")
def unclean(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was generated (60 users, 80 items, 1,500 ratings), and five lines more in u.data, two in u.user."""
    (generated,) = finished.path("data/01_raw/movielens").iterdir()
    folder = Path(shutil.copytree(generated, tmp_path_factory.mktemp("unclean") / "ml"))
    user, item, rating, _ = (folder / "u.data").read_text().splitlines()[0].split("\t")
    added = [
        (user, item, 6 - int(rating), LATER),  # again, and later: counts instead of the first
        (SINGLE, 1, 4, 1000),
        (ORPHAN_USER, 1, 3, 1000),
        (ORPHAN_USER, 2, 3, 2000),
        (user, ORPHAN_ITEM, 5, 1000),
    ]
    with (folder / "u.data").open("a") as file:
        file.writelines("\t".join(map(str, row)) + "\n" for row in added)
    with (folder / "u.user").open("a") as file:
        file.writelines(f"{name}|30|F|artist|12345\n" for name in (SINGLE, SILENT))
    return folder


def parameters(folder: Path, *more: str) -> tuple[str, str]:
    return "--params", ",".join(
        ("movielens=ml-100k", f"movielens_path={folder}", "distributed.num_ranks=1", "ncf.split=leave_one_out", *more)
    )


@pytest.fixture(scope="module")
def kept(unclean: Path, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole way, leaving one out, with what is unknown kept."""
    project = Project.create(tmp_path_factory.mktemp("kept") / "project")
    done = project.run(*parameters(unclean))
    assert done.code == 0, done.err
    assert (
        "Interactions: 1,504 interactions of 62 users and 81 items; 1 earlier rows of the same user and item left out; "
        "3 interactions kept whose user (1 of them) or item (1) has no row in its table" in done.err
    )
    return project


def quality(project: Project) -> dict[str, object]:
    return json.loads(project.path("data/08_reporting/interactions/data_quality.json").read_text())


def rows(project: Project, name: str) -> list[dict[str, object]]:
    return pq.read_table(project.path(name)).to_pylist()


@pytest.mark.slow
def test_what_was_found_is_counted_and_reported(kept: Project, unclean: Path) -> None:
    assert quality(kept) == {
        "data": {"dataset": "ml-100k", "source": str(unclean), "generated": False},
        "rows_read": 1505,
        "negatives_removed": 0,
        "duplicates_removed": 1,
        "orphan_users": 1,
        "orphan_items": 1,
        "orphan_interactions": 3,
        "orphan_policy": "keep",
        "users": 62,
        "items": 81,
        "interactions": 1504,
        "read": {
            "u.data": {"files": 1, "rows": 1505},
            "u.user": {"files": 1, "rows": 62},
            "u.item": {"files": 1, "rows": 80},
        },
    }


@pytest.mark.slow
def test_the_later_of_two_ratings_counts(kept: Project, unclean: Path) -> None:
    user, item, rating, _ = (unclean / "u.data").read_text().splitlines()[0].split("\t")
    found = rows(kept, "data/02_intermediate/interactions/interactions.parquet")
    (one,) = [row for row in found if (row["user_id"], row["item_id"]) == (int(user), int(item))]
    assert (one["weight"], one["timestamp"]) == (6 - int(rating), LATER)


@pytest.mark.slow
def test_a_user_with_one_rating_trains_and_is_not_tested(kept: Project) -> None:
    split = [row["split"] for row in rows(kept, "data/03_primary/ncf/interactions.parquet") if row["user_id"] == SINGLE]
    assert split == ["train"]
    for name in ("data/05_model_input/ncf/test_candidates.parquet", "data/07_model_output/ncf/test_lists.parquet"):
        tested = pq.read_table(kept.path(name)).column("user_id").unique().to_pylist()
        assert len(tested) == 61
        assert SINGLE not in tested


@pytest.mark.slow
def test_users_and_items_without_a_row_of_their_own_are_trained_with_unknown_features(kept: Project) -> None:
    (user,) = [r for r in rows(kept, "data/04_feature/ncf/user_features.parquet") if r["user_id"] == ORPHAN_USER]
    (item,) = [r for r in rows(kept, "data/04_feature/ncf/item_features.parquet") if r["item_id"] == ORPHAN_ITEM]
    assert user["user"] > 0
    assert (user["gender"], user["occupation"], user["zip_code"]) == (0, 0, 0)
    assert item["item"] > 0
    assert item["genres"] == []


@pytest.mark.slow
def test_lists_are_for_everybody_and_say_who_answered(kept: Project) -> None:
    lists = pq.read_table(kept.path("data/07_model_output/ncf/recommendations.parquet"))
    assert len(lists.column("user_id").unique()) == 63
    sources = {user: set() for user in (SINGLE, SILENT, ORPHAN_USER)}
    for row in lists.to_pylist():
        sources.get(row["user_id"], set()).add(row["source"])
    assert sources == {SINGLE: {"model"}, SILENT: {"popularity"}, ORPHAN_USER: {"model"}}


@pytest.mark.slow
def test_ratings_of_the_unknown_can_be_dropped(unclean: Path, kept: Project, tmp_path: Path) -> None:
    project = kept.copy(tmp_path / "project")
    done = project.run(*parameters(unclean, "interactions_cleaning.orphans=drop"), "--pipelines", "data_processing")
    assert done.code == 0, done.err
    assert "3 interactions dropped whose user" in done.err
    assert quality(project)["orphan_policy"] == "drop"
    assert (quality(project)["users"], quality(project)["items"], quality(project)["interactions"]) == (61, 80, 1501)
    train = pq.read_table(project.path("data/05_model_input/ncf/train.parquet"))
    assert not pc.any(pc.equal(train.column("user_id"), ORPHAN_USER)).as_py()
    assert not pc.any(pc.equal(train.column("item_id"), ORPHAN_ITEM)).as_py()


def test_dropping_everything_is_an_error(project: Project, spark: SparkSession, unclean: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(unclean, tmp_path / "ml"))
    (folder / "u.user").write_text(f"{SILENT}|30|F|artist|12345\n")
    line = project.run(*parameters(folder, "interactions_cleaning.orphans=drop")).error
    assert line.startswith("no interaction is left: all 1504 are of users or items without a row in their table")
