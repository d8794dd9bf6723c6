"""Scoring with a trained NCF, Arrow batch by Arrow batch, in Spark's Python workers: bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse
from threadpoolctl import threadpool_limits

from tandem.evaluation.lists import PADDING, top_k
from tandem.models.ncf.scorer import SCORER_FILE, NeuMFScorer, evaluated_model, load_scorer
from tandem.scoring.ncf_catalogue import Catalogue

USERS_AT_ONCE = 256

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ListRequest:
    """Which lists are made: length of the published ones, and of those that are evaluated.

    model: the folder of the published model, which says where the evaluated one is.
    """

    model: Path
    catalogue: Catalogue
    published: int
    evaluated: int


@lru_cache(maxsize=2)  # the published model, and the evaluated one where it is another
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


def rank_items(batches: Iterable[pa.RecordBatch], request: ListRequest) -> Iterator[pa.RecordBatch]:
    """The best items of each user: of those that it has no interaction with, to publish, where it is ``wanted``; and
    of those that it has no training interaction with, to evaluate, where it has test interactions.

    batches: user_id int64, user int32 (encoded; 0: unknown, answered by popularity), trained and tested list<int64>
    (item_id of its interactions), wanted bool. Yields user_id int64, item_id int64, rank int32 from 1, score float64 (a
    probability; of popularity the share of users), source (model or popularity), published bool: one row per listed
    item. Item 0 (unknown) is never listed.
    """
    models = {True: _load(request.model), False: _load(evaluated_model(request.model))}
    for batch in batches:
        for start in range(0, batch.num_rows, USERS_AT_ONCE):
            users = _Users.of(batch.slice(start, USERS_AT_ONCE), request.catalogue)
            yield from _by_model(users.where(users.encoded > 0), models, request)
            yield from _by_popularity(users.where(users.encoded == 0), request)


@dataclass(frozen=True)
class _Users:
    """encoded: ids [n]; trained, tested: their items, [n, items of the catalogue]; has_tests: known or unknown ones."""

    ids: npt.NDArray[np.int64]
    encoded: npt.NDArray[np.int32]
    trained: sparse.csr_matrix
    tested: sparse.csr_matrix
    wanted: Mask
    has_tests: Mask

    @classmethod
    def of(cls, rows: pa.RecordBatch, catalogue: Catalogue) -> "_Users":
        """The rows of a batch."""
        return cls(
            rows.column("user_id").to_numpy(),
            rows.column("user").to_numpy(),
            _matrix(rows.column("trained"), catalogue),
            _matrix(rows.column("tested"), catalogue),
            rows.column("wanted").to_numpy(zero_copy_only=False),
            rows.column("tested").value_lengths().to_numpy() > 0,
        )

    def where(self, mask: Mask) -> "_Users":
        """The users of a mask [n]."""
        if mask.all():
            return self
        trained, tested = self.trained[mask], self.tested[mask]
        return _Users(self.ids[mask], self.encoded[mask], trained, tested, self.wanted[mask], self.has_tests[mask])

    def asked(self, *, published: bool) -> Mask:
        """Those who get such a list."""
        return self.wanted if published else self.has_tests

    def had(self, *, published: bool) -> sparse.csr_matrix:
        """What such a list leaves out."""
        return self.trained + self.tested if published else self.trained


def _by_model(users: _Users, models: dict[bool, NeuMFScorer], request: ListRequest) -> Iterator[pa.RecordBatch]:
    """Users are scored once where one model makes both lists."""
    same = models[True] is models[False]
    scored = models[True].score_all(users.encoded) if same else None
    for published, length in ((True, request.published), (False, request.evaluated)):
        rows = users.asked(published=published)
        model = models[published]
        logits = model.score_all(users.encoded[rows]) if scored is None else scored[rows]
        logits[:, 0] = -np.inf
        items, scores = top_k(logits, users.had(published=published)[rows], length)
        probabilities = model.probability(scores.astype(np.float32))
        yield _rows(users.ids[rows], items, probabilities, request.catalogue, source="model", published=published)


def _by_popularity(users: _Users, request: ListRequest) -> Iterator[pa.RecordBatch]:
    catalogue = request.catalogue
    for published, length in ((True, request.published), (False, request.evaluated)):
        rows = users.asked(published=published)
        items = catalogue.most_popular(users.had(published=published)[rows], length)
        scores = catalogue.shares[np.maximum(items, 0)]
        yield _rows(users.ids[rows], items, scores, catalogue, source="popularity", published=published)


def _rows(
    users: npt.NDArray[np.int64],
    items: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64],
    catalogue: Catalogue,
    *,
    source: str,
    published: bool,
) -> pa.RecordBatch:
    """items, scores: [users, length]; one row per item but ``PADDING``."""
    rows, columns = np.nonzero(items != PADDING)
    return pa.record_batch(
        {
            "user_id": users[rows],
            "item_id": catalogue.item_ids[items[rows, columns]],
            "rank": (columns + 1).astype(np.int32),
            "score": scores[rows, columns],
            "source": pa.array([source] * len(rows), pa.string()),
            "published": np.full(len(rows), published),
        }
    )


def _matrix(lists: pa.ListArray, catalogue: Catalogue) -> sparse.csr_matrix:
    """1 at the items of each list, [lists, items]; those that the catalogue has not are id 0."""
    offsets: npt.NDArray[Any] = lists.offsets.to_numpy()
    items = catalogue.encode(lists.values.to_numpy()[offsets[0] : offsets[-1]])
    shape = (len(lists), len(catalogue.item_ids))
    return sparse.csr_matrix((np.ones(len(items), np.int8), items, offsets - offsets[0]), shape)
