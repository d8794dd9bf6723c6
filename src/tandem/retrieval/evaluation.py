"""How well vectors find what the test users took, among all items, beside popularity and random vectors.

Users: those with a positive test row, at most ``evaluated_users`` of them, drawn by the seed. Left out of a user's
lists, and of what counts, is every item that the user was shown in a training row. A user whom no training row knows
gets the popular items from the model too, as the published lists do; an item that no feature table knows is missed.
Rows without the id of their user or item are left out: they are of many users or items, and no list is for or of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from tandem.evaluation import Metrics
from tandem.evaluation.lists import Lists, Pairs
from tandem.evaluation.ranking import ranking_metrics
from tandem.parameters import IndexParameters, TwoTowerParameters
from tandem.retrieval.approximation import recall_against_flat
from tandem.retrieval.histories import known_users, seen_items
from tandem.retrieval.index import Positions, VectorIndex, Vectors, build_index
from tandem.retrieval.unseen import nearest_unseen
from tandem.retrieval.vectors import read_vectors, vectors_of
from tandem.storage.locations import Location
from tandem.storage.parquet import read_table

LENGTHS = (10, 100)
RANDOM_DIM = 16
RECALL_QUERIES = 1_000
_NAME = "baseline"


@dataclass(frozen=True)
class RetrievalFiles:
    """What is evaluated and on what; all folders of Parquet files."""

    user_embeddings: Path
    item_embeddings: Path
    user_features: Location
    item_features: Location
    train: Location
    test: Location


@dataclass(frozen=True)
class Scene:
    """The users and what they took. ids: of the users, item_ids: of the catalogue, ascending; known: bool [users];
    seen: [users, items]; relevant: (user place, item place) pairs, an item outside the catalogue beyond its end."""

    ids: pa.Array
    item_ids: pa.Array
    known: npt.NDArray[np.bool_]
    seen: sparse.csr_matrix
    relevant: Pairs
    left_out: int


def evaluate_retrieval(
    files: RetrievalFiles, index: VectorIndex, parameters: TwoTowerParameters, seed: int
) -> dict[str, Any]:
    """``model``, ``popularity`` and ``random``: metrics of each at 10 and 100; ``facts`` of the users and the index."""
    item_ids, item_vectors = read_vectors(files.item_embeddings)
    scene = make_scene(files, item_ids, parameters.evaluated_users, seed)
    users, _ = vectors_of(files.user_embeddings, scene.ids)
    fingerprint, threads = index.info.model_fingerprint, index.threads
    flat = index
    if index.info.parameters.kind != "flat":
        flat = build_index(item_vectors, item_ids, IndexParameters(), fingerprint, threads)
    popular = _lists(scene, *_popularity(files.item_features, scene), threads)
    lists = popular.copy()
    if scene.known.any():
        lists[scene.known] = _nearest(flat, users[scene.known], scene.seen[scene.known], fingerprint)
    random = _lists(scene, *_random_vectors(scene, seed), threads)
    queries = users[scene.known][:RECALL_QUERIES]
    facts = {
        "evaluated_users": len(scene.ids),
        "evaluated_cold_users": int((~scene.known).sum()),
        "evaluated_positives": len(scene.relevant.users),
        "positives_seen_in_training": scene.left_out,
        "items": len(item_ids),
        "index": index.info.parameters.kind,
        "index_recall@100": recall_against_flat(index, item_vectors, queries, LENGTHS[-1]) if len(queries) else None,
    }
    named = {"model": lists, "popularity": popular, "random": random}
    return {name: _metrics(scene, found) for name, found in named.items()} | {"facts": facts}


def make_scene(files: RetrievalFiles, item_ids: pa.Array, most_users: int, seed: int) -> Scene:
    """Choose the users, and find what they took and what they had seen."""
    test = read_table(files.test, columns=["user_id", "tweet_id", "label"])
    test = test.filter(pc.equal(test.column("label"), 1))
    test = test.filter(pc.and_(*(pc.not_equal(test.column(name), "") for name in ("user_id", "tweet_id"))))
    everyone = pc.unique(test.column("user_id")).sort()
    chosen = np.random.default_rng([seed, 2021]).permutation(len(everyone))[:most_users]
    ids = everyone.take(pa.array(np.sort(chosen)))
    seen = seen_items(files.train, ids, item_ids)
    users, items, tweets = _pairs(test, ids, item_ids)
    pairs = np.unique(np.column_stack([users, items, tweets]), axis=0)
    outside = pairs[:, 1] >= len(item_ids)
    had = np.zeros(len(pairs), np.bool_)
    had[~outside] = np.asarray(seen[pairs[~outside, 0], pairs[~outside, 1]]).ravel()
    relevant = Pairs(pairs[~had, 0], np.where(outside, len(item_ids) + pairs[:, 2], pairs[:, 1])[~had])
    return Scene(ids, item_ids, known_users(files.user_features, ids), seen, relevant, int(had.sum()))


def _pairs(rows: pa.Table, users: pa.Array, items: pa.Array) -> tuple[Positions, Positions, Positions]:
    """Places of the rows' users and items, of the rows of these users, and a number for each tweet.

    An item that is none of ``items`` has the place behind the last of them.
    """
    rows = rows.append_column("user", pc.index_in(rows.column("user_id"), value_set=users))
    rows = rows.filter(pc.is_valid(rows.column("user")))
    tweets = rows.column("tweet_id").combine_chunks()
    places = pc.fill_null(pc.index_in(tweets, value_set=items), len(items))
    numbers = pc.dictionary_encode(tweets).indices
    found = [column.to_numpy().astype(np.int64) for column in (rows.column("user"), places, numbers)]
    return found[0], found[1], found[2]


def _popularity(item_features: Location, scene: Scene) -> tuple[Vectors, Vectors]:
    """Vectors of one number, of which the product is the item's training positives."""
    table = read_table(item_features, columns=["tweet_id", "popularity"])
    counts = np.zeros((len(scene.item_ids), 1), np.float32)
    places = pc.index_in(table.column("tweet_id"), value_set=scene.item_ids)
    kept = pc.is_valid(places)
    counts[places.filter(kept).to_numpy(), 0] = table.column("popularity").filter(kept).to_numpy()
    return np.ones((len(scene.ids), 1), np.float32), counts


def _random_vectors(scene: Scene, seed: int) -> tuple[Vectors, Vectors]:
    rng = np.random.default_rng([seed, 2022])
    shapes = ((len(scene.ids), RANDOM_DIM), (len(scene.item_ids), RANDOM_DIM))
    users, items = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return users, items / np.linalg.norm(items, axis=1, keepdims=True)


def _lists(scene: Scene, users: Vectors, items: Vectors, threads: int) -> Positions:
    index = build_index(items, scene.item_ids, IndexParameters(), _NAME, threads)
    return _nearest(index, users, scene.seen, _NAME)


def _nearest(index: VectorIndex, users: Vectors, seen: sparse.csr_matrix, fingerprint: str) -> Positions:
    return nearest_unseen(index, users, seen, min(LENGTHS[-1], index.info.items), fingerprint)[0]


def _metrics(scene: Scene, lists: Positions) -> Metrics:
    listed, size = Lists.of_matrix(np.arange(len(lists)), lists), len(scene.item_ids)
    metrics: Metrics = {}
    for k in LENGTHS:
        metrics |= ranking_metrics(listed, scene.relevant, size, k)
    return metrics
