"""Scoring with a trained NCF, Arrow batch by Arrow batch, in Spark's Python workers: bounded memory."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from threadpoolctl import threadpool_limits

from tandem.evaluation.lists import PADDING, top_k
from tandem.models.ncf_scorer import SCORER_FILE, NeuMFScorer, load_scorer

USERS_AT_ONCE = 256


@lru_cache(maxsize=1)
def _model(folder: Path, modified: int) -> NeuMFScorer:
    """The model of a folder, kept by the process as long as its weights do not change."""
    threadpool_limits(1)  # there is one of these processes per core already
    return load_scorer(folder)


def _load(folder: Path) -> NeuMFScorer:
    weights = folder / SCORER_FILE
    return _model(folder, weights.stat().st_mtime_ns if weights.is_file() else 0)


def predict_pairs(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Append ``prediction`` (float64, a probability) to batches with the columns ``user`` and ``item`` (encoded)."""
    model = _load(folder)
    for batch in batches:
        users, items = (batch.column(name).to_numpy() for name in ("user", "item"))
        probabilities = model.probability(model.score_pairs(users, items))
        yield batch.append_column("prediction", pa.array(probabilities))


def rank_items(batches: Iterable[pa.RecordBatch], folder: Path, k: int) -> Iterator[pa.RecordBatch]:
    """The best k unseen items of each user.

    batches: user_id int64, user int32, seen list<int32> (encoded items). Yields user_id int64, item int32 (encoded),
    rank int32 from 1, score float64 (a probability), one row per listed item. Item 0 (unknown) is never listed.
    """
    model = _load(folder)
    for batch in batches:
        for start in range(0, batch.num_rows, USERS_AT_ONCE):
            yield _ranked(model, batch.slice(start, USERS_AT_ONCE), k)


def _ranked(model: NeuMFScorer, users: pa.RecordBatch, k: int) -> pa.RecordBatch:
    logits = model.score_all(users.column("user").to_numpy())
    logits[:, 0] = -np.inf
    items, scores = top_k(logits, _seen(users.column("seen"), logits.shape[1]), k)
    rows, columns = np.nonzero(items != PADDING)
    return pa.record_batch(
        {
            "user_id": users.column("user_id").to_numpy()[rows],
            "item": items[rows, columns].astype(np.int32),
            "rank": (columns + 1).astype(np.int32),
            "score": model.probability(scores[rows, columns].astype(np.float32)),
        }
    )


def _seen(lists: pa.ListArray, num_items: int) -> sparse.csr_matrix:
    offsets: npt.NDArray[np.int32] = lists.offsets.to_numpy()
    items = lists.values.to_numpy()[offsets[0] : offsets[-1]]
    return sparse.csr_matrix((np.ones(len(items), np.int8), items, offsets - offsets[0]), (len(lists), num_items))
