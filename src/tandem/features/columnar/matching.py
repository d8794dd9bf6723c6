"""Values to their places in a list of texts, as if each value were cast to text by Spark and compared.

A few rows are looked up in a dict, many by Arrow's hash table. Large vocabularies are kept by the 64-bit hashes that
Spark joins them by: 12 bytes a value, whatever its length.
"""

import datetime
import re
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandem.errors import UserError
from tandem.features.columnar.xxhash64 import SEED, hash_text, hash_texts

Ids = npt.NDArray[np.int32]

HASHED_ABOVE = 1_000_000
"""Vocabularies of more values are kept by their hashes alone."""
_NOTHING = -1
# A Python loop looks so many rows up in the time that Arrow needs to hash the vocabulary anew.
_VALUES_PER_ROW = 4
_FEW_ROWS = 64
_JAVA_NUMBER = re.compile(r"-?(?:\d+\.\d+|\d\.\d+E-?\d+|Infinity)|NaN")


class Matcher:
    """Places 0..n-1 of values in a list of texts; the first place, where one stands in it several times."""

    def __init__(self, texts: pa.Array, name: str) -> None:
        """Keep the texts, or the hashes of many.

        Args:
            texts: strings [n], or whole numbers, which are taken for their texts.
            name: of the feature, for errors and for the hashes, which differ from those of other features.
        """
        texts = texts.cast(pa.string())
        self._name, self._size = name, len(texts)
        self._hashed = len(texts) > HASHED_ABOVE
        if self._hashed:
            self._seed = hash_text(name.encode(), SEED)
            hashes = hash_texts(texts, self._seed)
            self._order = np.argsort(hashes, kind="stable").astype(np.int32)
            self._hashes = hashes[self._order]
        self._texts = None if self._hashed else texts
        self._of_width: dict[int, tuple[npt.NDArray[np.int64], Ids]] = {}

    def places(self, values: pa.Array) -> Ids:
        """The place of each value, int32 [n]; -1 for null and for what is not in the list.

        Raises:
            UserError: values are of a type whose text depends on settings of Spark, such as times.
        """
        kinds, type_ = pa.types, values.type
        if kinds.is_dictionary(type_):
            of_values = np.append(self.places(values.dictionary), np.int32(_NOTHING))
            return np.asarray(of_values[values.indices.fill_null(len(of_values) - 1).to_numpy(zero_copy_only=False)])
        if kinds.is_null(type_) or not self._size:
            return np.full(len(values), _NOTHING, np.int32)
        if kinds.is_float32(type_) or kinds.is_float64(type_):
            return self._places_of_floats(values)
        if not (kinds.is_integer(type_) or kinds.is_boolean(type_) or kinds.is_date32(type_) or _is_text(type_)):
            raise UserError(f"feature {self._name}: {type_} is not looked up as a text; convert it to text first")
        return self._places_of_texts(values if kinds.is_string(type_) else values.cast(pa.string()))

    def place(self, value: Any) -> int:
        """The place of one value; -1 for None and for what is not in the list.

        Raises:
            TypeError: the value is none whose text is that of Spark.
        """
        if value is None:
            return _NOTHING
        if isinstance(value, float | np.float32):
            type_ = pa.float32() if isinstance(value, np.float32) else pa.float64()
            return int(self._places_of_floats(pa.array([value], type_))[0])
        text = _text(value)
        if not self._hashed:
            return self._by_text.get(text, _NOTHING)
        return int(self._places_of_hashes(pa.array([text]))[0])

    def _places_of_texts(self, texts: pa.Array) -> Ids:
        if self._hashed:
            return self._places_of_hashes(texts)
        if len(texts) < _FEW_ROWS or len(texts) * _VALUES_PER_ROW < self._size:
            found = [self._by_text.get(text, _NOTHING) for text in texts.to_pylist()]
            return np.array(found, np.int32)
        found = pc.index_in(texts, value_set=self._texts, skip_nulls=True)
        return np.asarray(found.fill_null(_NOTHING).to_numpy(zero_copy_only=False), np.int32)

    @cached_property
    def _by_text(self) -> dict[str, int]:
        texts = [] if self._texts is None else self._texts.to_pylist()
        return {text: place for place, text in reversed(list(enumerate(texts)))}

    def _places_of_hashes(self, texts: pa.Array) -> Ids:
        if len(texts) < _FEW_ROWS:
            few = [0 if text is None else hash_text(text.encode(), self._seed) for text in texts.to_pylist()]
            hashes = np.array(few, np.uint64)
        else:
            hashes = hash_texts(texts, self._seed)
        found = np.minimum(np.searchsorted(self._hashes, hashes), self._size - 1)
        known = (self._hashes[found] == hashes) & np.asarray(texts.is_valid())
        return np.where(known, self._order[found], _NOTHING).astype(np.int32)

    def _places_of_floats(self, values: pa.Array) -> Ids:
        """By the numbers that the texts are of: each has one text, but Java's versions write some differently."""
        keys, places = self._floats(values.type.bit_width)
        if not len(keys):
            return np.full(len(values), _NOTHING, np.int32)
        numbers = values.fill_null(0.0).to_numpy(zero_copy_only=False)
        bits = _bits(numbers)
        found = np.minimum(np.searchsorted(keys, bits), len(keys) - 1)
        known = (keys[found] == bits) & np.asarray(values.is_valid())
        return np.where(known, places[found], _NOTHING).astype(np.int32)

    def _floats(self, width: int) -> tuple[npt.NDArray[np.int64], Ids]:
        if width not in self._of_width:
            if self._texts is None:
                raise UserError(f"feature {self._name}: its vocabulary is too large for floats; convert them to text")
            texts = [(text, place) for place, text in enumerate(self._texts.to_pylist()) if _is_java(text, width)]
            keys = _bits(np.array([float(text) for text, _ in texts], np.float32 if width == 32 else np.float64))
            unique, first = np.unique(keys, return_index=True)
            self._of_width[width] = unique, np.array([place for _, place in texts], np.int32)[first]
        return self._of_width[width]


def _text(value: Any) -> str:
    """What Spark casts a value to."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case datetime.date() if not isinstance(value, datetime.datetime):
            return value.isoformat()
        case _:
            raise TypeError(f"{type(value).__name__} is not looked up as a text")


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _bits(numbers: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Floats by their bits, so that -0.0 is not 0.0, as their texts differ; all kinds of NaN are one."""
    known = np.ascontiguousarray(np.where(np.isnan(numbers), np.nan, numbers).astype(numbers.dtype))
    return known.view(np.int32 if numbers.dtype == np.float32 else np.int64).astype(np.int64)


def _is_java(text: str, width: int) -> bool:
    """Whether Java's text of some float looks so: from 10^-3 to 10^7 without an exponent, no needless zeros."""
    if not _JAVA_NUMBER.fullmatch(text):
        return False
    if text.endswith(("NaN", "Infinity")):
        return True
    mantissa, _, exponent = text.lstrip("-").partition("E")
    whole, _, fraction = mantissa.partition(".")
    number, digits = abs(float(text)), (whole + fraction).strip("0")
    tidy = (fraction == "0" or not fraction.endswith("0")) and (whole == "0" or not whole.startswith("0"))
    plain = number == 0.0 or 1e-3 <= number < 1e7
    return tidy and plain == (exponent == "") and (plain or whole != "0") and len(digits) <= (9 if width == 32 else 17)
