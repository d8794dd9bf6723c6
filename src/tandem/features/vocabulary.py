"""Raw values to ids: from 1 in a stated order, with 0 for whatever the training rows do not hold."""

from collections.abc import Mapping
from functools import reduce
from math import log1p
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.hashing import cross_hash
from tandem.features.numbers import bucketize, scale_min_max
from tandem.features.spec import (
    AnyFeature,
    BagFeature,
    BucketFeature,
    CrossFeature,
    MinMaxFeature,
    RankedVocabularyFeature,
    ScaledFeature,
    VocabularyFeature,
)

UNKNOWN = 0

BROADCAST_ROWS = 1_000_000
"""Above this many rows a table is left to Spark's own choice of join."""


def number_ids(frame: DataFrame, column: str, output: str, order: Column | None = None) -> DataFrame:
    """The distinct values of ``column`` numbered 1..n: ``output`` (int) and ``column``.

    Ascending, or by ``order`` with ties ascending; nulls are left out. One task sorts all values in one array, which is
    the fastest way up to some ten million of them and needs no job of its own.
    """
    sort_keys = [] if order is None else [order.alias("order")]
    entry = F.when(F.col(column).isNotNull(), F.struct(*sort_keys, F.col(column).alias("value")))
    entries = frame.agg(F.sort_array(F.collect_set(entry)).alias("entries"))
    numbered = entries.select(F.posexplode("entries").alias("position", "entry"))
    return numbered.select((F.col("position") + 1).alias(output), F.col("entry.value").alias(column))


def small(frame: DataFrame, rows: int) -> DataFrame:
    """The frame, to be broadcast in joins when its ``rows`` are few."""
    return F.broadcast(frame) if rows <= BROADCAST_ROWS else frame


def by_frequency(counts: Mapping[str, int], min_count: int = 1) -> tuple[str, ...]:
    """The values seen at least ``min_count`` times, the most frequent first, ties in ascending order."""
    kept = [value for value, count in counts.items() if count >= min_count]
    return tuple(sorted(kept, key=lambda value: (-counts[value], value)))


def encode(feature: AnyFeature) -> Column:
    """The encoded column of a feature, named as the feature, from its source column.

    - ``vocabulary``: int id. ``bag``: array<int> of the known ids, ascending, each once; empty for null.
    - ``min_max``: float in 0..1 (values beyond the fitted range are clipped); null is the scaled mean.
    - ``bucket``, ``cross``: int id (a cross reads encoded columns). ``scaled``: float in 0..1, clipped; null is 0.

    Vocabularies that lie in a table (``ranked_vocabulary``) are joined: :mod:`tandem.features.vocabularies`.
    """
    return F.coalesce(_encoded(feature), missing(feature)).alias(feature.name)


def _encoded(feature: AnyFeature) -> Column:
    """The encoded value; null for a missing one."""
    match feature:
        case CrossFeature():
            parts = [F.col(name) for name in feature.columns]
            known = reduce(or_, (part != UNKNOWN for part in parts))
            return F.when(known, cross_hash(parts, feature.buckets))
        case VocabularyFeature() | RankedVocabularyFeature():
            return _position(feature, F.col(feature.column).cast("string")).cast("int")
        case BagFeature():
            ids = F.transform(F.col(feature.column), lambda value: _position(feature, value).cast("int"))
            return F.array_sort(F.array_distinct(F.filter(ids, lambda i: i > UNKNOWN)))
        case BucketFeature():
            return bucketize(F.col(feature.column), feature.edges)
        case MinMaxFeature():
            number = F.coalesce(F.col(feature.column).cast("double"), F.lit(feature.mean))
            return scale_min_max(number, feature.min, feature.max).cast("float")
        case ScaledFeature():
            return _scaled(feature).cast("float")


def missing(feature: AnyFeature) -> Column:
    """The encoded value of a row that has no such feature: what ``encode`` gives for null."""
    match feature:
        case BagFeature():
            return F.array().cast("array<int>")
        case MinMaxFeature():
            return scale_min_max(F.lit(feature.mean), feature.min, feature.max).cast("float")
        case ScaledFeature():
            return F.lit(0.0).cast("float")
        case _:
            return F.lit(UNKNOWN).cast("int")


def _position(feature: VocabularyFeature | BagFeature | RankedVocabularyFeature, value: Column) -> Column:
    """The id of ``value`` in an inline vocabulary: array positions start at 1, and 0 is absent, as ids do."""
    if feature.values is None:
        raise ValueError(f"the vocabulary of {feature.name} lies in {feature.path}: join that table instead")
    if not feature.values:
        return F.lit(UNKNOWN)
    return F.array_position(F.lit(list(feature.values)), value)


def _scaled(feature: ScaledFeature) -> Column:
    number = F.col(feature.column).cast("double")
    low, high = feature.min, feature.max
    if feature.log:
        number = F.log1p(F.greatest(number, F.lit(0.0)))
        low, high = log1p(max(low, 0.0)), log1p(max(high, 0.0))
    return scale_min_max(number, low, high)
