"""Numbers that are looked up by the texts of one column or several."""

from collections.abc import Sequence
from ctypes import c_float
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.errors import UserError
from tandem.features.columnar.matching import Matcher
from tandem.features.spec import SEPARATOR, LookupKind

Ids = npt.NDArray[np.int32]


class Lookup:
    """The numbers of a target encoding or of a group statistic, by their keys."""

    def __init__(self, feature: LookupKind, values: pa.Array, numbers: pa.Array) -> None:
        """Sort the keys: ``values`` are texts [n], of several columns joined by SEPARATOR; ``numbers`` doubles [n]."""
        self._missing = feature.missing
        texts = values.to_pylist() if len(feature.keys) > 1 else None
        parts = [values] if texts is None else _parts(texts, len(feature.keys), feature.name)
        distinct = [part.unique() for part in parts]
        self._matchers = [Matcher(part, feature.name) for part in distinct]
        places = [matcher.places(part) for matcher, part in zip(self._matchers, parts, strict=True)]
        self._sizes = [len(part) for part in distinct]
        self._keys, first = np.unique(self._together(places), return_index=True)
        self._numbers = numbers.cast(pa.float64()).to_numpy(zero_copy_only=False)[first]

    def numbers(self, columns: Sequence[pa.Array]) -> npt.NDArray[np.float32]:
        """The number of each row, float32 [n]; the feature's own where training saw no such row."""
        places = [matcher.places(column) for matcher, column in zip(self._matchers, columns, strict=True)]
        keys = self._together(places)
        with np.errstate(over="ignore"):
            if not len(self._keys):
                return np.full(len(keys), self._missing, np.float32)
            found = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            return np.where(self._keys[found] == keys, self._numbers[found], self._missing).astype(np.float32)

    def number(self, values: Sequence[Any]) -> float:
        """The number of one row's keys, to the precision of float32."""
        key = 0
        for matcher, size, value in zip(self._matchers, self._sizes, values, strict=True):
            place = matcher.place(value)
            if place < 0:
                return c_float(self._missing).value
            key = key * size + place
        return c_float(self._by_key.get(key, self._missing)).value

    @cached_property
    def _by_key(self) -> dict[int, float]:
        return dict(zip(self._keys.tolist(), self._numbers.tolist(), strict=True))

    def _together(self, places: Sequence[Ids]) -> npt.NDArray[np.int64]:
        """One number for the places of a row's texts; -1 where a text is in no key."""
        keys, known = np.zeros(len(places[0]), np.int64), np.ones(len(places[0]), bool)
        for place, size in zip(places, self._sizes, strict=True):
            known &= place >= 0
            keys = keys * size + place
        return np.where(known, keys, -1)


def _parts(texts: Sequence[str], count: int, name: str) -> list[pa.Array]:
    rows = [text.split(SEPARATOR) for text in texts]
    for row in rows:
        if len(row) != count:
            raise UserError(f"feature {name}: a key of {len(row)} texts, expected {count}: {SEPARATOR.join(row)!r}")
    return [pa.array([row[place] for row in rows], pa.string()) for place in range(count)]
