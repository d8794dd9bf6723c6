"""What an approximate index loses against the exact one."""

import numpy as np

from tandem.parameters import IndexParameters
from tandem.retrieval.index import VectorIndex, Vectors, build_index


def recall_against_flat(index: VectorIndex, vectors: Vectors, queries: Vectors, k: int) -> float:
    """Share of the exact k nearest items that the index finds, over all queries; k is cut to the number of items.

    vectors: those that the index holds, float32 [items, dim]; queries: float32 [queries, dim], at least one.
    """
    k, fingerprint = min(k, index.info.items), index.info.model_fingerprint
    if index.info.parameters.kind == "flat":
        return 1.0
    flat = build_index(vectors, index.ids, IndexParameters(kind="flat"), fingerprint, index.threads)
    exact, _ = flat.search(queries, k, fingerprint)
    found, _ = index.search(queries, k, fingerprint)
    offsets = np.arange(len(queries))[:, None] * (index.info.items + 1)
    hits = np.isin(found + 1 + offsets, exact + 1 + offsets) & (found >= 0)
    return float(hits.sum() / exact.size)
