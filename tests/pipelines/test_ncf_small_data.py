"""Logs too small for what is asked of them end in one line before anything is trained."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from own_logs import own_log
from projects import Project

ITEMS = 6


def write_log(folder: Path, ratings_per_user: dict[int, int]) -> Path:
    """ml-100k's files with as many ratings as said, each user's of the first items."""
    folder.mkdir()
    rated = [(user, item) for user, count in ratings_per_user.items() for item in range(1, count + 1)]
    (folder / "u.data").write_text("".join(f"{user}\t{item}\t4\t{1000 + item}\n" for user, item in rated))
    (folder / "u.user").write_text("".join(f"{user}|30|F|artist|12345\n" for user in ratings_per_user))
    flags = "|".join(["0"] * 18 + ["1"])
    (folder / "u.item").write_text(
        "".join(f"{item}|Film {item} (1995)|01-Jan-1995|||{flags}\n" for item in range(1, ITEMS + 1))
    )
    return folder


@pytest.mark.parametrize(
    ("ratings_per_user", "split", "line"),
    [
        ({1: 3, 2: 4}, "random", "ncf.split: random leaves no rows to test on: no user has enough interactions"),
        ({1: 1, 2: 1}, "leave_one_out", "ncf.split: leave_one_out leaves no rows to test on: no user has enough"),
        ({1: 2, 2: 1}, "leave_one_out", "ncf.validation_fraction: no user has enough training rows to hold one out"),
        ({1: 1, 2: 1}, "temporal", "split: temporal finds no interaction in the latest 0.2 of the rows"),
    ],
    ids=["random", "leave one out", "leave one out, with validation", "temporal"],
)
def test_a_split_without_test_or_validation_rows_is_told(
    project: Project, spark: SparkSession, tmp_path: Path, ratings_per_user: dict[int, int], split: str, line: str
) -> None:
    folder = write_log(tmp_path / "log", ratings_per_user)
    files = f"movielens=ml-100k,movielens_path={folder},ncf.split={split}"
    assert project.run("--params", files).error.startswith(line)
    assert not project.path("data/06_models/ncf").exists()


@pytest.mark.slow
def test_few_users_with_many_items_train_on_as_many_ranks_as_a_refit_allows(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search makes steps of two users, which two ranks share; the refit, with more positives each, steps of one."""
    users, items = np.divmod(np.arange(6 * 60), 60)
    log = pa.table({"user_id": users + 1, "item_id": items + 1, "timestamp": 1000 + items})
    (tmp_path / "log").mkdir()
    pq.write_table(log, tmp_path / "log" / "interactions.parquet")
    given = f"{own_log(tmp_path / 'log')},ncf.batch_size=155,ncf.publish=evaluated"
    line = project.run("--params", f"{given},distributed.num_ranks=2").error
    assert line == (
        "distributed.num_ranks: 2 ranks cannot share 6 users of the refit in 6 steps of 1 (they can with "
        "ncf.batch_size of at least 160, or with ncf.shared_negatives of at most 29); use at most 1"
    )
    monkeypatch.setattr("tandem.distributed.binding.planning.auto_ranks", lambda *_, **__: 2)
    done = project.run("--from-nodes", "train_ncf", "--params", given)
    assert done.code == 0, done.err
    assert "1 rank will train: 2 ranks cannot share 6 users of the refit" in done.err
    assert len(json.loads(project.path("data/08_reporting/ncf/ranks.json").read_text())) == 1
