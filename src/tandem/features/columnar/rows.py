"""One row at a time, of plain Python values: for a request that waits, calls of array functions cost more than it does.

Every feature becomes a function of the row once. Python's floats are the doubles of NumPy, so the bits are the same.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from ctypes import c_float
from math import isnan
from typing import Any

import numpy as np

from tandem.errors import UserError, did_you_mean
from tandem.features.columnar.encoder import Encoder
from tandem.features.columnar.hashing import cross_hash_of_one
from tandem.features.columnar.log1p import log1p_of_one
from tandem.features.columnar.lookups import Lookup
from tandem.features.columnar.numbers import Scaled, ends
from tandem.features.columnar.tables import Vocabulary
from tandem.features.spec import (
    UNKNOWN,
    AnyFeature,
    BagFeature,
    BucketFeature,
    CrossFeature,
    DerivedFeature,
    FillFeature,
    GroupStatisticFeature,
    LookupKind,
    MinMaxFeature,
    MissingFeature,
    MultiHotFeature,
    OneHotFeature,
    ScaledFeature,
    SequenceFeature,
    TargetEncodingFeature,
    VocabularyKind,
    ZScoreFeature,
)

Value = Any
"""None, text, whole number, float, NumPy's float32, truth value, date, or a list of these."""
Row = Mapping[str, Value]
EncodedRow = dict[str, int | float | list[int]]
_Step = Callable[[Row, EncodedRow], Any]
_Number = Callable[[float], float]


class RowEncoder:
    """An :class:`Encoder` for rows that come one by one."""

    def __init__(self, encoder: Encoder) -> None:
        """Make a function of each feature."""
        self._names = encoder.names
        self._steps = [(feature.name, _step(feature, encoder)) for feature in encoder.features]

    def encode(self, row: Row) -> EncodedRow:
        """Name -> id, number or list of ids: what :meth:`Encoder.encode` gives for this row alone.

        Raises:
            UserError: a column that a feature reads is not there, or holds what the feature cannot read.
        """
        encoded: EncodedRow = {}
        try:
            for name, step in self._steps:
                encoded[name] = step(row, encoded)
        except KeyError as error:
            absent = error.args[0]
            near = did_you_mean(absent, row)
            raise UserError(f"there is no column {absent}, which the feature {name} reads; {near}") from error
        except (TypeError, ValueError) as error:
            raise UserError(f"feature {name}: a value of its column cannot be read: {error}") from error
        return {name: encoded[name] for name in self._names}


def _step(feature: AnyFeature, encoder: Encoder) -> _Step:
    match feature:
        case CrossFeature() | OneHotFeature() | MultiHotFeature():
            return _derived(feature)
        case TargetEncodingFeature() | GroupStatisticFeature():
            return _looked_up(feature, encoder.lookups[feature.name])
        case BucketFeature():
            return _bucket(feature)
        case MissingFeature():
            return lambda row, _: float(_is_missing(row[feature.column]))
        case FillFeature() | ZScoreFeature() | ScaledFeature() | MinMaxFeature():
            return _number(feature)
        case _:
            return _ids(feature, encoder.vocabularies[feature.name], encoder.separators.get(feature.name))


def _is_missing(value: Value) -> bool:
    return value is None or (isinstance(value, float | np.floating) and isnan(value))


def _double(value: Value) -> float:
    """The number, NaN for none; a text is an error, as it is in columns."""
    if isinstance(value, str):
        raise TypeError("it is a text, and should be a number")
    return float("nan") if value is None else float(value)


def _bucket(feature: BucketFeature) -> _Step:
    edges, column = sorted(feature.edges), feature.column

    def step(row: Row, _: EncodedRow) -> int:
        number = _double(row[column])
        return UNKNOWN if isnan(number) else bisect_right(edges, number) + 1

    return step


def _number(feature: Scaled | FillFeature | ZScoreFeature) -> _Step:
    column, otherwise = feature.column, c_float(feature.missing).value
    scale = _plain(feature) if isinstance(feature, FillFeature | ZScoreFeature) else _scaled(feature)

    def step(row: Row, _: EncodedRow) -> float:
        number = _double(row[column])
        return otherwise if isnan(number) else c_float(scale(number)).value

    return step


def _plain(feature: FillFeature | ZScoreFeature) -> _Number:
    if isinstance(feature, FillFeature):
        return lambda number: number
    mean, deviation = feature.mean, feature.deviation
    if deviation == 0.0:
        return lambda number: 0.0
    return lambda number: (number - mean) / deviation


def _scaled(feature: Scaled) -> _Number:
    low, high, logged = ends(feature)
    extent, top, missing = high - low, 0.0 if high <= low else 1.0, c_float(feature.missing).value

    def scale(number: float) -> float:
        if logged:
            number = log1p_of_one(0.0 if number < 0.0 else number)
        within = number if top == 0.0 else (number - low) / extent
        bounded = 0.0 if within < 0.0 else within
        return missing if isnan(bounded) else min(bounded, top)

    return scale


def _derived(feature: DerivedFeature) -> _Step:
    if isinstance(feature, CrossFeature):
        columns, buckets = feature.columns, feature.buckets

        def crossed(_: Row, encoded: EncodedRow) -> int:
            parts = [encoded[name] for name in columns]
            return cross_hash_of_one(parts, buckets) if any(parts) else UNKNOWN

        return crossed
    of, size = feature.of, feature.size

    def hot(_: Row, encoded: EncodedRow) -> list[int]:
        ids = encoded[of]
        places = set(ids) if isinstance(ids, list) else {ids}
        return [int(place in places) for place in range(size)]

    return hot


def _looked_up(feature: LookupKind, lookup: Lookup) -> _Step:
    keys = feature.keys
    return lambda row, _: lookup.number([row[name] for name in keys])


def _ids(feature: VocabularyKind, vocabulary: Vocabulary, separator: str | None) -> _Step:
    column, one = feature.column, vocabulary.of_one
    of_list = _of_list(feature)

    def step(row: Row, _: EncodedRow) -> Any:
        value = row[column]
        if separator is not None and isinstance(value, str):
            value = [part for part in value.split(separator) if part]
        if isinstance(value, list | tuple):
            return of_list([found for one_value in value if (found := one(one_value)) > UNKNOWN])
        if value is None:
            return of_list([])
        if isinstance(feature, BagFeature | SequenceFeature):
            raise TypeError("it is no list")
        return one(value)

    return step


def _of_list(feature: VocabularyKind) -> Callable[[list[int]], Any]:
    """From known ids in their order to what the feature keeps of them."""
    match feature:
        case BagFeature():
            return lambda ids: sorted(set(ids))
        case SequenceFeature():
            length = feature.length
            return lambda ids: ids[-length:] + [UNKNOWN] * (length - len(ids))
        case _:
            return lambda ids: min(ids, default=UNKNOWN)
