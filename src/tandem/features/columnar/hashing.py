"""What ``tandem.features.hashing`` and ``tandem.features.draws`` do to Spark's columns, of arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.features.columnar.xxhash64 import SEED, Hashes, hash_longs, hash_text, hash_texts, signed
from tandem.features.spec import SEPARATOR

Ids = npt.NDArray[np.int32]

# Below this many rows a loop over them is faster than arrays.
FEW_ROWS = 16


def hash_encode(texts: pa.Array, buckets: int) -> Ids:
    """Id 1..buckets of each text, by its 64-bit hash; 0 for null and the empty text, int32 [n]."""
    known = pc.fill_null(pc.not_equal(texts, ""), False).to_numpy(zero_copy_only=False)
    return np.where(known, _buckets(hash_texts(texts), buckets), 0).astype(np.int32)


def cross_hash(parts: Sequence[Ids], buckets: int) -> Ids:
    """Id 1..buckets of several ids together, by the hash of their texts, int32 [n]."""
    if len(parts[0]) < FEW_ROWS:
        rows = zip(*(part.tolist() for part in parts), strict=True)
        return np.array([cross_hash_of_one(row, buckets) for row in rows], np.int32)
    texts = [pa.array(part).cast(pa.string()) for part in parts]
    return _buckets(hash_texts(pc.binary_join_element_wise(*texts, SEPARATOR)), buckets)


def cross_hash_of_one(parts: Sequence[object], buckets: int) -> int:
    """The same of one row's ids."""
    found = hash_text(SEPARATOR.join(map(str, parts)).encode())
    return (found - (found >> 63 << 64)) % buckets + 1


def seeded_hash(seed: int, purpose: str, *keys: pa.Array) -> npt.NDArray[np.int64]:
    """The draw of ``tandem.features.draws.seeded_hash`` for arrays of integers, int64 [n]."""
    hashes = _started(seed, purpose, len(keys[0]))
    for key in keys:
        hashes = hash_longs(key, hashes)
    return signed(hashes)


def seeded_text_hash(seed: int, purpose: str, *keys: pa.Array) -> npt.NDArray[np.int64]:
    """The draw of ``tandem.features.draws.seeded_text_hash`` for arrays of texts, int64 [n]."""
    hashes = _started(seed, purpose, len(keys[0]))
    for key in keys:
        hashes = hash_texts(key, hashes)
    return signed(hashes)


def _started(seed: int, purpose: str, rows: int) -> Hashes:
    of_seed = int(hash_longs(pa.array([seed], pa.int64()), SEED)[0])
    return np.full(rows, hash_text(purpose.encode(), of_seed), np.uint64)


def _buckets(hashes: Hashes, buckets: int) -> Ids:
    return (np.mod(signed(hashes), np.int64(buckets)) + 1).astype(np.int32)
