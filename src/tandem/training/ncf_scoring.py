"""Scoring with a trained NCF, Arrow batch by Arrow batch: bounded memory, whatever calls it."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from scipy import sparse

from tandem.evaluation.lists import PADDING, top_k
from tandem.models.ncf import NeuMF, load_ncf

USERS_AT_ONCE = 256


@lru_cache(maxsize=1)
def _model(folder: Path, modified: int) -> NeuMF:
    """The model of a folder, kept by the process as long as its weights do not change."""
    torch.set_num_threads(1)  # there is one of these processes per core already
    return load_ncf(folder)


def _load(folder: Path) -> NeuMF:
    weights = folder / "model.safetensors"
    return _model(folder, weights.stat().st_mtime_ns if weights.is_file() else 0)


def predict_pairs(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Append ``prediction`` (float64, a probability) to batches with the columns ``user`` and ``item`` (encoded)."""
    model = _load(folder)
    for batch in batches:
        users, items = (torch.from_numpy(batch.column(name).to_numpy().copy()) for name in ("user", "item"))
        with torch.no_grad():
            probabilities = model.probability(model(users, items)).double().numpy()
        yield batch.append_column("prediction", pa.array(probabilities))


def rank_items(batches: Iterable[pa.RecordBatch], folder: Path, k: int) -> Iterator[pa.RecordBatch]:
    """The best k unseen items of each user.

    batches: user_id int64, user int32, seen list<int32> (encoded items). Yields user_id int64, item int32 (encoded),
    rank int32 from 1, score float64 (a probability), one row per listed item. Item 0 (unknown) is never listed.
    """
    model = _load(folder)
    with torch.no_grad():
        item_rows = model.items.all()
        for batch in batches:
            for start in range(0, batch.num_rows, USERS_AT_ONCE):
                yield _ranked(model, item_rows, batch.slice(start, USERS_AT_ONCE), k)


def _ranked(model: NeuMF, item_rows: torch.Tensor, users: pa.RecordBatch, k: int) -> pa.RecordBatch:
    ids = torch.from_numpy(users.column("user").to_numpy().copy())
    logits = model.score_all(ids, item_rows)
    logits[:, 0] = -torch.inf
    items, scores = top_k(logits.numpy(), _seen(users.column("seen"), item_rows.shape[0]), k)
    rows, columns = np.nonzero(items != PADDING)
    probabilities = model.probability(torch.from_numpy(scores[rows, columns])).double().numpy()
    return pa.record_batch(
        {
            "user_id": users.column("user_id").to_numpy()[rows],
            "item": items[rows, columns].astype(np.int32),
            "rank": (columns + 1).astype(np.int32),
            "score": probabilities,
        }
    )


def _seen(lists: pa.ListArray, num_items: int) -> sparse.csr_matrix:
    offsets: npt.NDArray[np.int32] = lists.offsets.to_numpy()
    items = lists.values.to_numpy()[offsets[0] : offsets[-1]]
    return sparse.csr_matrix((np.ones(len(items), np.int8), items, offsets - offsets[0]), (len(lists), num_items))
