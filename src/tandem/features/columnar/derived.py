"""Features of encoded columns, and what needs nothing fitted."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.features.columnar.hashing import cross_hash
from tandem.features.columnar.lists import Lists, rectangular
from tandem.features.spec import UNKNOWN, CrossFeature, DerivedFeature, MultiHotFeature, OneHotFeature


def derived(feature: DerivedFeature, encoded: Mapping[str, Any], rows: int) -> Any:
    """A feature of encoded columns: ids, int32 [rows], or a list of numbers of each row."""
    match feature:
        case CrossFeature():
            parts = [encoded[name] for name in feature.columns]
            known = np.logical_or.reduce([part != UNKNOWN for part in parts])
            return np.where(known, cross_hash(parts, feature.buckets), UNKNOWN).astype(np.int32)
        case OneHotFeature():
            ids = encoded[feature.of]
            return _hot(np.arange(rows), ids, feature.size, rows)
        case MultiHotFeature():
            lists = Lists.of(encoded[feature.of], feature.name)
            return _hot(lists.rows, lists.values.to_numpy(zero_copy_only=False), feature.size, rows)


def _hot(rows: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], size: int, count: int) -> pa.Array:
    matrix = np.zeros((count, size), np.int32)
    within = ids < size
    matrix[rows[within], ids[within]] = 1
    return rectangular(matrix)


def missing(column: pa.Array) -> npt.NDArray[np.float32]:
    """1 where a column has null or NaN, 0 elsewhere, float32 [rows]."""
    floating = pa.types.is_floating(column.type)
    return np.asarray(pc.is_null(column, nan_is_null=floating).cast(pa.float32()).to_numpy(zero_copy_only=False))
