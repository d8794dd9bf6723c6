"""64-bit hashes of whole numbers: the multipliers and shifts that every fingerprint and draw of arrays is made of.

The multipliers are those of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def splitmix64(keys: Keys, stream: int = 1) -> Keys:
    """A hash of each key, [n]; hashes of other streams are independent. Stream 1 is the generator's own."""
    mixed = keys + np.uint64(stream * int(GOLDEN_RATIO) % (1 << 64))
    mixed = multiply_shift(mixed ^ (mixed >> np.uint64(30)), 27, _FIRST)
    return multiply_shift(mixed, 31, _SECOND)


def hash_columns(columns: Iterable[npt.NDArray[Any]], start: Keys, shift: int) -> Keys:
    """A hash of each row of columns of whole numbers, [n], begun with ``start`` [n]; the order of columns counts."""
    mixed = start
    for column in columns:
        mixed = multiply_shift(mixed ^ column.astype(np.uint64), shift)
    return mixed


def multiply_shift(keys: Keys, shift: int, factor: np.uint64 = GOLDEN_RATIO, add: Keys | None = None) -> Keys:
    """``keys * factor + add`` with its upper bits brought down into the lower ones: one round of a hash, [n]."""
    product = keys * factor
    if add is not None:
        product = product + add
    return product ^ (product >> np.uint64(shift))


def first_by_hash(keys: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """At most ``count`` of the keys, each once, ascending, drawn by a hash of the key alone."""
    unique = np.unique(keys)
    mixed = multiply_shift(unique.astype(np.uint64) ^ GOLDEN_RATIO, 29, _FIRST)
    return np.sort(unique[np.argsort(mixed, kind="stable")[:count]])
