"""Lists by a model of initial weights, without Spark: what is left out is what matters."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ncf_jobs import ITEMS, write_job
from tandem.models.ncf.building import build_ncf
from tandem.models.ncf.network import save_ncf
from tandem.scoring.ncf import ListRequest, rank_items
from tandem.scoring.ncf_catalogue import Catalogue

RAW = 100  # the item_id of encoded item n is so much larger
SCHEMA = pa.schema(
    {
        "user_id": pa.int64(),
        "user": pa.int32(),
        "trained": pa.list_(pa.int64()),
        "tested": pa.list_(pa.int64()),
        "wanted": pa.bool_(),
    }
)
# A dense log: whatever the model prefers, most of it somebody has.
DENSE = [
    {"user_id": 11, "user": 1, "trained": range(101, 121), "tested": range(121, 137), "wanted": True},
    {"user_id": 12, "user": 2, "trained": range(101, 141), "tested": [], "wanted": True},
    {"user_id": 13, "user": 3, "trained": [101], "tested": [140, 999], "wanted": False},
    {"user_id": 14, "user": 4, "trained": [101], "tested": [], "wanted": True},
    {"user_id": 15, "user": 0, "trained": [], "tested": [140, 139, 999], "wanted": True},
    {"user_id": 16, "user": 0, "trained": [], "tested": [], "wanted": True},
]


def save(folder: Path, seed: int) -> None:
    folder.mkdir()
    save_ncf(build_ncf(write_job(folder / "job", seed=seed)), folder)


@pytest.fixture
def request_for(tmp_path: Path) -> ListRequest:
    save(tmp_path / "model", seed=7)
    ids = np.arange(1, ITEMS + 1)
    table = {"item": ids.astype(np.int32), "item_id": ids + RAW, "popularity": np.minimum(ids, 38)}
    pq.write_table(pa.table(table).take(np.random.default_rng(0).permutation(ITEMS)), tmp_path / "items.parquet")
    return ListRequest(tmp_path / "model", Catalogue.read(tmp_path / "items.parquet", 50), published=5, evaluated=3)


def ranked(request: ListRequest, users: list[dict[str, Any]]) -> dict[tuple[int, bool], list[dict[str, Any]]]:
    """The rows of each user's list, published or not."""
    batches = pa.Table.from_pylist([user | {"trained": list(user["trained"])} for user in users], SCHEMA).to_batches(4)
    rows = pa.Table.from_batches(rank_items(batches, request)).to_pylist()
    found: dict[tuple[int, bool], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["user_id"], row["published"]), []).append(row)
    return found


def test_published_lists_hold_nothing_that_a_user_has_and_evaluated_ones_all_but_training_items(
    request_for: ListRequest,
) -> None:
    users = [user | {"tested": list(user["tested"])} for user in DENSE]
    found = ranked(request_for, users)
    for user in users:
        published = {row["item_id"] for row in found.get((user["user_id"], True), [])}
        assert not published & {*user["trained"], *user["tested"]}
    lengths = {key: len(rows) for key, rows in found.items()}
    assert lengths == {
        **{(11, True): 4, (14, True): 5, (15, True): 5, (16, True): 5},  # 12 has everything, and no list
        **{(11, False): 3, (13, False): 3, (15, False): 3},  # those with test rows, wanted or not
    }
    assert not {row["item_id"] for row in found[13, False]} & {101}
    for rows in found.values():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        assert (np.diff([row["score"] for row in rows]) <= 0).all()
    assert {key[0] for key, rows in found.items() if rows[0]["source"] == "popularity"} == {15, 16}
    assert [row["item_id"] for row in found[16, True]] == [138, 139, 140, 137, 136]
    assert [row["item_id"] for row in found[15, True]] == [138, 137, 136, 135, 134]
    assert [row["item_id"] for row in found[15, False]] == [138, 139, 140]
    assert found[16, True][0]["score"] == 38 / 50


def test_lists_for_the_report_are_made_by_the_evaluated_model_where_it_is_another(request_for: ListRequest) -> None:
    users = [{"user_id": 11, "user": 1, "trained": [101], "tested": [140], "wanted": True}]
    alone = ranked(request_for, users)
    save(request_for.model / "evaluated", seed=8)
    both = ranked(request_for, users)
    assert both[11, True] == alone[11, True]
    assert both[11, False] != alone[11, False]
    evaluated = ListRequest(request_for.model / "evaluated", request_for.catalogue, published=5, evaluated=3)
    assert both[11, False] == ranked(evaluated, users)[11, False]
