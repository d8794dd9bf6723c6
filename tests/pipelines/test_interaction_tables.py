"""A log of one's own goes the way that MovieLens' files go."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from projects import Project

TABLES = ("interactions", "users", "items")
USER_FEATURES = {
    "gender": "category",
    "occupation": "category",
    "zip_code": {"kind": "category", "min_count": 2},
    "age": "number",
}


def describe(project: Project, **tables: object) -> None:
    """Write the page that says what stands where, as ``tandem describe`` writes one."""
    project.path("conf/test/tables.yml").write_text(yaml.safe_dump({"data": "tables", "tables": tables}))


def test_the_same_rows_in_tables_of_ones_own_make_the_same_model_input(
    project: Project, finished: Project, tmp_path: Path
) -> None:
    for name in TABLES:
        made = finished.path(f"data/02_intermediate/interactions/{name}.parquet")
        shutil.copytree(made, tmp_path / f"{name}.parquet")
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp", "weight": "weight"}
    describe(
        project,
        path=str(tmp_path),
        interactions={"file": "interactions.parquet", **columns},
        users={"file": "users.parquet", "id": "user_id", "features": USER_FEATURES},
        items={"file": "items.parquet", "id": "item_id", "title": "title", "features": {"genres": "categories"}},
    )
    done = project.run("--pipelines", "data_processing")
    assert done.code == 0, done.err
    assert project.content("data/05_model_input/ncf") == finished.content("data/05_model_input/ncf")


def test_a_log_with_hashed_ids_alone_ends_with_lists(project: Project, tmp_path: Path) -> None:
    """No user or item has a feature: all that is learnt are ids, some of which are negative and have 19 digits."""
    draws = np.random.default_rng(1)
    users, items = draws.integers(-(2**63), 2**63 - 1, (2, 60))
    of_users, of_items = draws.integers(60, size=1500), (60 * draws.random(1500) ** 2).astype(int)
    log = pa.table({"who": users[of_users], "what": items[of_items], "when": draws.integers(0, 10**9, 1500)})
    pq.write_table(log, tmp_path / "log.parquet")
    columns = {"user": "who", "item": "what", "time": "when"}
    describe(project, path=str(tmp_path), interactions={"file": "log.parquet", **columns})
    done = project.run()
    assert done.code == 0, done.err
    assert "no row in its table" not in done.err
    lists = pq.read_table(project.path("data/07_model_output/ncf/recommendations.parquet")).to_pydict()
    assert set(lists["user_id"]) == set(log.column("who").to_pylist())
    assert set(lists["item_id"]) <= set(log.column("what").to_pylist())
    assert set(lists["title"]) == {None}
    had = set(zip(log.column("who").to_pylist(), log.column("what").to_pylist(), strict=True))
    assert not set(zip(lists["user_id"], lists["item_id"], strict=True)) & had
    data = json.loads(project.path("data/08_reporting/ncf/metrics.json").read_text())["data"]
    assert (data["dataset"], data["source"], data["generated"]) == ("tables", str(tmp_path), False)
    assert data["published_model"] == "all rows", "nobody publishes a model that has not seen a fifth of his log"
