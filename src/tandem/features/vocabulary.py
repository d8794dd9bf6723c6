"""Raw values to ids: from 1 in a stated order, with 0 for whatever the training rows do not hold."""

from collections.abc import Mapping, Sequence
from functools import reduce
from math import log1p
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.hashing import cross_hash
from tandem.features.histories import pad
from tandem.features.indicators import multi_hot, one_hot
from tandem.features.numbers import bucketize, is_missing, scale_min_max, z_score
from tandem.features.spec import (
    SEPARATOR,
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
    RankedVocabularyFeature,
    ScaledFeature,
    SequenceFeature,
    TargetEncodingFeature,
    VocabularyFeature,
    VocabularyKind,
    ZScoreFeature,
)

__all__ = ["UNKNOWN", "by_frequency", "encode", "encode_list", "key_text", "missing", "number_ids", "small"]

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
    """The encoded column of a feature, named as the feature, from its source column; never null.

    - ``vocabulary``, ``ranked_vocabulary``, ``bucket``, ``cross``: int id (a cross reads encoded columns).
    - ``bag``: array<int> of the known ids, ascending, each once; empty for null. ``sequence``: array<int>, padded.
    - ``one_hot``, ``multi_hot``: array<int> of their size, of an encoded column.
    - ``min_max``, ``scaled``: float in 0..1 (values beyond the fitted range are clipped); missing is the scaled mean,
      or 0.
    - ``fill``, ``z_score``, ``target_encoding``, ``group_statistic``: float. ``missing``: float, 1 or 0.

    What lies in a table is joined: :func:`tandem.features.applying.apply`, :mod:`tandem.features.vocabularies`.
    """
    return F.coalesce(_encoded(feature), missing(feature)).alias(feature.name)


def encode_list(feature: VocabularyKind, values: Column) -> Column:
    """The same for an array of values in the source column's place; of a vocabulary the smallest id counts."""
    return F.coalesce(_ids_of_list(feature, values), missing(feature)).alias(feature.name)


def key_text(keys: Sequence[str]) -> Column:
    """The texts of columns as one key; null where one of them is."""
    texts = [part for name in keys for part in (F.lit(SEPARATOR), F.col(name).cast("string"))]
    return F.concat(*texts[1:])


def _encoded(feature: AnyFeature) -> Column:
    """The encoded value; null for a missing one."""
    match feature:
        case MinMaxFeature() | ScaledFeature() | FillFeature() | ZScoreFeature():
            return _number(feature).cast("float")
        case CrossFeature() | OneHotFeature() | MultiHotFeature():
            return _derived(feature)
        case TargetEncodingFeature() | GroupStatisticFeature():
            return _looked_up(feature).cast("float")
        case BucketFeature():
            return bucketize(F.col(feature.column), feature.edges)
        case MissingFeature():
            return is_missing(feature.column).cast("float")
        case _:
            return _ids(feature)


def missing(feature: AnyFeature) -> Column:
    """The encoded value of a row that has no such feature: what ``encode`` gives for null."""
    value = feature.missing
    if isinstance(value, tuple):
        return F.lit(list(value)).cast("array<int>")
    return F.lit(value).cast("int" if isinstance(value, int) else "float")


def _ids(feature: VocabularyKind) -> Column:
    """The ids of a value, or of a list of values."""
    if isinstance(feature, VocabularyFeature | RankedVocabularyFeature):
        return _position(feature, F.col(feature.column)).cast("int")
    return _ids_of_list(feature, F.col(feature.column))


def _ids_of_list(feature: VocabularyKind, values: Column) -> Column:
    ids = F.transform(values, lambda value: _position(feature, value).cast("int"))
    known = F.filter(ids, lambda i: i > UNKNOWN)
    match feature:
        case BagFeature():
            return F.array_sort(F.array_distinct(known))
        case SequenceFeature():
            return pad(known, feature.length)
        case _:
            return F.array_min(known)


def _position(feature: VocabularyKind, value: Column) -> Column:
    """The id of ``value`` in an inline vocabulary: array positions start at 1, and 0 is absent, as ids do."""
    if feature.values is None:
        raise ValueError(f"the vocabulary of {feature.name} lies in {feature.path}: join that table instead")
    if not feature.values:
        return F.lit(UNKNOWN)
    return F.array_position(F.lit(list(feature.values)), value.cast("string"))


def _derived(feature: DerivedFeature) -> Column:
    match feature:
        case CrossFeature():
            parts = [F.col(name) for name in feature.columns]
            known = reduce(or_, (part != UNKNOWN for part in parts))
            return F.when(known, cross_hash(parts, feature.buckets))
        case OneHotFeature():
            return one_hot(F.col(feature.of), feature.size)
        case MultiHotFeature():
            return multi_hot(F.col(feature.of), feature.size)


def _looked_up(feature: LookupKind) -> Column:
    if feature.values is None or feature.numbers is None:
        raise ValueError(f"the numbers of {feature.name} lie in {feature.path}: join that table instead")
    if not feature.values:
        return F.lit(None)
    place = F.array_position(F.lit(list(feature.values)), key_text(feature.keys)).cast("int")
    return F.get(F.lit(list(feature.numbers)), place - 1)


def _number(feature: MinMaxFeature | ScaledFeature | FillFeature | ZScoreFeature) -> Column:
    number = F.col(feature.column).cast("double")
    match feature:
        case MinMaxFeature():
            return scale_min_max(F.coalesce(number, F.lit(feature.mean)), feature.min, feature.max)
        case ScaledFeature():
            return _scaled(feature, number)
        case FillFeature():
            return F.nanvl(number, F.lit(None))
        case ZScoreFeature():
            return z_score(number, feature.mean, feature.deviation)


def _scaled(feature: ScaledFeature, number: Column) -> Column:
    low, high = feature.min, feature.max
    if feature.log:
        number = F.log1p(F.greatest(number, F.lit(0.0)))
        low, high = log1p(max(low, 0.0)), log1p(max(high, 0.0))
    return scale_min_max(number, low, high)
