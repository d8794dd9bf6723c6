"""A tiny two-tower training job on generated Parquet, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.models.two_tower.job import TwoTowerJob
from tandem.parameters import TwoTowerParameters

USERS, ITEMS, GROUPS = 60, 48, 4
SIZES = {"user": USERS + 1, "tweet": ITEMS + 1, "author": GROUPS + 1, "tweet_type": 4, "user_is_verified": 3}
DEFAULTS: dict[str, Any] = {
    "model": {
        "user": {"embeddings": ["user"], "indicators": ["user_is_verified"], "continuous": ["user_ratio"]},
        "item": {"embeddings": ["tweet", "author"], "indicators": ["tweet_type"], "continuous": ["num_links"]},
        "embedding_dim": 4,
        "hidden_units": [16, 8],
        "output_dim": 4,
    },
    "epochs": 3,
    "batch_size": 200,
    "learning_rate": 0.01,
    "validation_fraction": 0.2,
    "early_stopping": {"metric": "ndcg@100", "patience": 3},
    "checkpoint_seconds": 0.0,
    "rowwise_min_rows": 20,
}


def write_job(folder: Path, *, seed: int = 7, copies: int = 1, **parameters: Any) -> TwoTowerJob:
    """Users like tweets of the authors of their own group: user 0..59, tweet 0..47, group = number modulo 4.

    copies: so many times the tweets, of which all but the first 48 are unknown ones.
    """
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.permutation(USERS * ITEMS * copies), ITEMS * copies)
    liked = rng.random(len(users)) < np.where(users % GROUPS == items % GROUPS, 0.9, 0.1)
    columns = _columns(users, items) | {"label": liked.astype(np.int32)}
    folder.mkdir(parents=True, exist_ok=True)
    rows = pa.table(columns)
    training = 2400 * copies
    pq.write_table(rows.slice(0, training), folder / "train.parquet", row_group_size=500 * copies)
    pq.write_table(rows.slice(training), folder / "test.parquet", row_group_size=300)
    everyone = _columns(np.arange(USERS), np.zeros(USERS, np.int64))
    pq.write_table(pa.table({name: everyone[name] for name in ("user_id", *USER_COLUMNS)}), folder / "users.parquet")
    everything = _columns(np.zeros(ITEMS, np.int64), np.arange(ITEMS))
    pq.write_table(pa.table({name: everything[name] for name in ("tweet_id", *ITEM_COLUMNS)}), folder / "items.parquet")
    return TwoTowerJob(
        parameters=TwoTowerParameters.model_validate(DEFAULTS | parameters),
        seed=seed,
        train=folder / "train.parquet",
        test=folder / "test.parquet",
        user_features=folder / "users.parquet",
        item_features=folder / "items.parquet",
        sizes=SIZES,
        feature_spec_fingerprint="test",
        staging=folder / "staging",
        checkpoints=folder / "checkpoints",
    )


USER_COLUMNS = ("user", "user_is_verified", "user_ratio")
ITEM_COLUMNS = ("tweet", "author", "tweet_type", "num_links")


def _columns(users: np.ndarray, items: np.ndarray) -> dict[str, Any]:
    return {
        "user_id": [f"u{user}" for user in users],
        "tweet_id": [f"t{item}" for item in items],
        "user": (users + 1).astype(np.int32),
        "user_is_verified": (1 + users % 2).astype(np.int32),
        "user_ratio": (users / USERS).astype(np.float32),
        "tweet": np.where(items < ITEMS, items + 1, 0).astype(np.int32),
        "author": (1 + items % GROUPS).astype(np.int32),
        "tweet_type": (1 + items % 3).astype(np.int32),
        "num_links": (items / ITEMS).astype(np.float32),
    }
