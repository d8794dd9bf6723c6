"""A log of one's own goes the way that MovieLens' files go."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from own_logs import own_log
from projects import Project


def test_a_log_with_hashed_ids_alone_ends_with_lists(project: Project, tmp_path: Path) -> None:
    """No user or item has a feature: all that is learnt are ids, some of which are negative and have 19 digits."""
    draws = np.random.default_rng(1)
    users, items = draws.integers(-(2**63), 2**63 - 1, (2, 60))
    of_users, of_items = draws.integers(60, size=1500), (60 * draws.random(1500) ** 2).astype(int)
    log = pa.table(
        {"user_id": users[of_users], "item_id": items[of_items], "timestamp": draws.integers(0, 10**9, 1500)}
    )
    pq.write_table(log, tmp_path / "interactions.parquet")
    done = project.run("--params", own_log(tmp_path))
    assert done.code == 0, done.err
    assert "no row in its table" not in done.err
    lists = pq.read_table(project.path("data/07_model_output/ncf/recommendations.parquet")).to_pydict()
    assert set(lists["user_id"]) == set(log.column("user_id").to_pylist())
    assert set(lists["item_id"]) <= set(log.column("item_id").to_pylist())
    had = set(zip(log.column("user_id").to_pylist(), log.column("item_id").to_pylist(), strict=True))
    assert not set(zip(lists["user_id"], lists["item_id"], strict=True)) & had
    data = json.loads(project.path("data/08_reporting/ncf/metrics.json").read_text())["data"]
    assert (data["dataset"], data["source"], data["generated"]) == ("tables", str(tmp_path), False)
    assert data["published_model"] == "all rows", "nobody publishes a model that has not seen a fifth of his log"
