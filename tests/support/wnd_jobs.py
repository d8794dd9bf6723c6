"""A tiny training job of a click model on generated Parquet, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.models.click.job import ClickJob
from tandem.parameters import ClickParameters

SIZES = {"user": 40, "author": 30, "media": 4, "media_x_author": 60}
DEFAULTS: dict[str, Any] = {
    "model": {
        "wide_base": ["author"],
        "wide_cross": ["media_x_author"],
        "indicators": ["media"],
        "embeddings": ["user", "author"],
        "embedding_dim": 4,
        "continuous": ["age"],
        "hidden_units": [16, 8],
    },
    "epochs": 3,
    "batch_size": 100,
    "learning_rate": 0.02,
    "rowwise_min_rows": 30,
    "checkpoint_seconds": 0.0,
    "validation_fraction": 0.2,
}


def columns(rows: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Rows whose label depends on user, author and age."""
    rng = np.random.default_rng(seed)
    user, author = rng.integers(0, SIZES["user"], rows), rng.zipf(1.4, rows) % SIZES["author"]
    media, age = rng.integers(0, SIZES["media"], rows), rng.random(rows)
    tastes, fame = np.random.default_rng(99).normal(size=(2, 40))
    logit = tastes[user] + fame[author] + 2.0 * (age - 0.5)
    return {
        "user": user.astype(np.int32),
        "author": author.astype(np.int32),
        "media": media.astype(np.int32),
        "media_x_author": (1 + (media * 31 + author) % 59).astype(np.int32),
        "age": age.astype(np.float32),
        "label": (rng.random(rows) < 1.0 / (1.0 + np.exp(-logit))).astype(np.int32),
    }


def write_job(folder: Path, *, name: str = "wnd", seed: int = 7, rows: int = 1000, **parameters: Any) -> ClickJob:
    """A job in a folder of its own; name: of the click model."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns(rows)), folder / "train.parquet", row_group_size=-(-rows // 5))
    return ClickJob(
        name=name,
        parameters=ClickParameters.model_validate(DEFAULTS | parameters),
        seed=seed,
        train=folder / "train.parquet",
        sizes=SIZES,
        feature_spec_fingerprint="test",
        staging=folder / "staging",
        checkpoints=folder / "checkpoints",
    )


def appended_predictions(model: Path) -> list[float]:
    """What scoring an Arrow batch by the model of a folder appends to its columns."""
    from tandem.scoring.click import predict_rows

    batch = pa.RecordBatch.from_pydict(columns(20, seed=3))
    (answer,) = predict_rows([batch], model)
    assert answer.schema.names == [*batch.schema.names, "prediction"]
    found: list[float] = answer.column("prediction").to_pylist()
    return found
