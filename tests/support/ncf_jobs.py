"""A tiny NCF training job on generated Parquet, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.models.ncf.config import SideSizes
from tandem.models.ncf.job import NCFJob
from tandem.parameters import NCFParameters

USERS, ITEMS = 60, 40
DEFAULTS: dict[str, Any] = {
    "model": {"gmf_dim": 4, "mlp_dim": 8, "hidden_units": [8, 4], "side_dim": 2, "dropout": 0.2},
    "epochs": 3,
    "batch_size": 200,
    "learning_rate": 0.01,
}


def write_job(
    folder: Path, *, seed: int = 7, row_groups: int = 5, copies: int = 1, publish: bool = False, **parameters: Any
) -> NCFJob:
    """Users like items of their own parity; four in five positives, one in five held out for validation.

    copies: so many draws of each user and item. publish: there are test rows, which a last model learns.
    """
    rng = np.random.default_rng(0)
    users = np.tile(np.repeat(np.arange(1, USERS + 1), ITEMS), copies)
    items = np.tile(np.arange(1, ITEMS + 1), USERS * copies)
    positive = (users % 2 == items % 2) & (rng.random(len(users)) < 0.5)
    kept = positive | (rng.random(len(users)) < 0.5)
    rows = pa.table(
        {
            "user": users[kept].astype(np.int32),
            "item": items[kept].astype(np.int32),
            "label": positive[kept].astype(np.int32),
            "validation": (rng.random(int(kept.sum())) < 0.2).astype(np.int32),
        }
    ).take(rng.permutation(int(kept.sum())))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, folder / "train.parquet", row_group_size=-(-rows.num_rows // row_groups))
    ids = np.arange(1, USERS + 1, dtype=np.int32)
    user_table = {"user": ids, "gender": ids % 3, "age": (ids / USERS).astype(np.float32)}
    pq.write_table(pa.table(user_table), folder / "users.parquet")
    genres = pa.array([[1 + i % 2, 3] for i in range(ITEMS)], pa.list_(pa.int32()))
    item_table = pa.table({"item": np.arange(1, ITEMS + 1, dtype=np.int32), "genres": genres})
    pq.write_table(item_table, folder / "items.parquet")
    return NCFJob(
        parameters=NCFParameters.model_validate(DEFAULTS | parameters),
        seed=seed,
        train=folder / "train.parquet",
        test=write_test_rows(folder / "test.parquet") if publish else None,
        user_features=folder / "users.parquet",
        item_features=folder / "items.parquet",
        users=SideSizes(num_ids=USERS + 1, categorical={"gender": 3}, numeric=("age",)),
        items=SideSizes(num_ids=ITEMS + 1, bags={"genres": 4}),
        feature_spec_fingerprint="test",
        staging=folder / "staging",
        checkpoints=folder / "checkpoints",
    )


# What the training rows speak against: users of an odd number are said to like an item of an even one.
TEST_ITEM = 2
TEST_USERS = np.arange(1, USERS + 1, 2)
UNKNOWN_ROWS = 5


def write_test_rows(file: Path) -> Path:
    """Every user of an odd number with the same item; and rows whose user, or item, has no training row."""
    users = np.concatenate([TEST_USERS, np.zeros(UNKNOWN_ROWS), [4] * UNKNOWN_ROWS]).astype(np.int32)
    items = np.concatenate([[TEST_ITEM] * (len(TEST_USERS) + UNKNOWN_ROWS), np.zeros(UNKNOWN_ROWS)]).astype(np.int32)
    ones, zeros = np.ones(len(users), np.int32), np.zeros(len(users), np.int32)
    pq.write_table(pa.table({"user": users, "item": items, "label": ones, "validation": zeros}), file)
    return file
