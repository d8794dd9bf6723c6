"""Candidates for many users, a block of them at a time: by the index for known users, by popularity for the others.

A user without an id, whom no training row knows or too few for ``min_count``, has no vector that anything was learnt
for: it gets the most popular items that it has not seen. An item without an id has one, of its author, its tags and its
language, and is found as any other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from scipy import sparse

from tandem.retrieval.histories import known_users, seen_items
from tandem.retrieval.index import NOTHING, Positions, VectorIndex, Vectors
from tandem.retrieval.unseen import nearest_unseen
from tandem.storage.locations import Location, Places
from tandem.storage.parquet import read_table

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("tweet_id", pa.string()),
        ("candidate_rank", pa.int32()),
        ("candidate_score", pa.float32()),
        ("source", pa.string()),
    ]
)
BLOCK_USERS = 8_192


@dataclass(frozen=True)
class CandidateFiles:
    """Folders of Parquet files: vectors and features of users, features of items, and rows that users were shown."""

    user_embeddings: Path
    user_features: Location
    item_features: Location
    shown: Places


def choose_users(user_features: Location, users: str | int | tuple[str, ...], seed: int) -> pa.Array:
    """Ids, ascending: all of the table, a number of them drawn by the seed, or those named, in the table or not."""
    if isinstance(users, tuple):
        return pa.array(sorted(set(users)), pa.string())
    everyone = read_table(user_features, columns=["user_id"]).column("user_id").combine_chunks().sort()
    if users == "all":
        return everyone
    drawn = np.random.default_rng([seed, 2023]).permutation(len(everyone))[: int(users)]
    return everyone.take(pa.array(np.sort(drawn)))


def candidate_tables(
    files: CandidateFiles, index: VectorIndex, model_fingerprint: str, wanted: pa.Array, k: int
) -> Iterator[pa.Table]:
    """Tables of ``SCHEMA``: k items a user, best first, without those that it was shown.

    Raises UserError where the index has fewer than k items, or its vectors are another model's than the users'.
    """
    known = known_users(files.user_features, wanted)
    seen = seen_items(files.shown, wanted, index.ids)
    for ids, vectors in _vectors_of(files.user_embeddings, wanted.filter(pa.array(known))):
        places = pc.index_in(ids, value_set=wanted).to_numpy()
        found, scores = nearest_unseen(index, vectors, seen[places], k, model_fingerprint)
        yield _table(ids, index.ids, found, scores, "model")
    cold = wanted.filter(pa.array(~known))
    yield from _popular(files.item_features, cold, seen[~known], index.ids, min(k, index.info.items))


def _vectors_of(folder: Path, wanted: pa.Array) -> Iterator[tuple[pa.Array, Vectors]]:
    for batch in ds.dataset(folder, format="parquet").to_batches(columns=["id", "vector"], batch_size=BLOCK_USERS):
        chosen = batch.filter(pc.is_in(batch.column("id"), value_set=wanted))
        if len(chosen):
            vectors = chosen.column("vector").flatten().to_numpy(zero_copy_only=False)
            yield chosen.column("id"), vectors.reshape(len(chosen), -1)


def _popular(
    item_features: Location, users: pa.Array, seen: sparse.csr_matrix, items: pa.Array, k: int
) -> Iterator[pa.Table]:
    """The k items with most training positives but those seen; the score is their share of the first's.

    seen: [users, items], of the users and ``items`` given.
    """
    if not len(users):
        return
    table = read_table(item_features, columns=["tweet_id", "popularity"])
    most = k + int(np.diff(seen.indptr).max(initial=0))
    best = table.sort_by([("popularity", "descending"), ("tweet_id", "ascending")]).slice(0, most).combine_chunks()
    ids, counts = best.column("tweet_id").combine_chunks(), best.column("popularity").to_numpy()
    shares = (counts / max(1, counts.max(initial=0))).astype(np.float32)
    columns = pc.fill_null(pc.index_in(ids, value_set=items), -1).to_numpy()
    for start in range(0, len(users), BLOCK_USERS):
        block = users.slice(start, BLOCK_USERS)
        had = (columns >= 0) & seen[start : start + len(block)][:, columns].toarray()
        order = np.argsort(had, axis=1, kind="stable")[:, :k]
        found = np.where(np.take_along_axis(had, order, 1), NOTHING, order)
        yield _table(block, ids, found, shares[order], "popularity")


def _table(users: pa.Array, items: pa.Array, found: Positions, scores: Vectors, source: str) -> pa.Table:
    rows, columns = np.nonzero(found >= 0)
    return pa.table(
        [
            users.take(pa.array(rows)),
            items.take(pa.array(found[rows, columns])),
            pa.array((columns + 1).astype(np.int32)),
            pa.array(scores[rows, columns]),
            pa.array([source] * len(rows), pa.string()),
        ],
        schema=SCHEMA,
    )
