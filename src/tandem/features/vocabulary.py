"""Raw values to ids: from 1 in a stated order, with 0 for whatever the training rows do not hold."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.spec import BagFeature, MinMaxFeature, VocabularyFeature

UNKNOWN = 0

# Above this many rows a table is left to Spark's own choice of join.
_BROADCAST_ROWS = 1_000_000


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
    return F.broadcast(frame) if rows <= _BROADCAST_ROWS else frame


def by_frequency(counts: Mapping[str, int], min_count: int = 1) -> tuple[str, ...]:
    """The values seen at least ``min_count`` times, the most frequent first, ties in ascending order."""
    kept = [value for value, count in counts.items() if count >= min_count]
    return tuple(sorted(kept, key=lambda value: (-counts[value], value)))


def encode(feature: VocabularyFeature | BagFeature | MinMaxFeature) -> Column:
    """The encoded column of a feature, named as the feature, from its source column.

    ``vocabulary``: int id. ``bag``: array<int> of the known ids, ascending, each once; empty for null or nothing known.
    ``min_max``: float in 0..1 (values beyond the fitted range are clipped); null is the scaled mean.
    """
    source = F.col(feature.column)
    match feature:
        case VocabularyFeature():
            encoded = F.coalesce(_position(feature, source), F.lit(UNKNOWN)).cast("int")
        case BagFeature():
            ids = F.transform(source, lambda value: _position(feature, value).cast("int"))
            known = F.array_sort(F.array_distinct(F.filter(ids, lambda i: i > UNKNOWN)))
            encoded = F.coalesce(known, F.array().cast("array<int>"))
        case MinMaxFeature():
            encoded = _scaled(feature, F.coalesce(source.cast("double"), F.lit(feature.mean))).cast("float")
    return encoded.alias(feature.name)


def missing(feature: VocabularyFeature | BagFeature | MinMaxFeature) -> Column:
    """The encoded value of a row that has no such feature: what ``encode`` gives for null."""
    match feature:
        case VocabularyFeature():
            return F.lit(UNKNOWN).cast("int")
        case BagFeature():
            return F.array().cast("array<int>")
        case MinMaxFeature():
            return _scaled(feature, F.lit(feature.mean)).cast("float")


def _position(feature: VocabularyFeature | BagFeature, value: Column) -> Column:
    """The id of ``value`` in an inline vocabulary: array positions start at 1, and 0 is absent, as ids do."""
    if feature.values is None:
        raise ValueError(f"the vocabulary of {feature.name} lies in {feature.path}: join that table instead")
    if not feature.values:
        return F.lit(UNKNOWN)
    return F.array_position(F.lit(list(feature.values)), value)


def _scaled(feature: MinMaxFeature, value: Column) -> Column:
    if feature.max <= feature.min:
        return F.lit(0.0)
    scaled = (value - F.lit(feature.min)) / F.lit(feature.max - feature.min)
    return F.least(F.greatest(scaled, F.lit(0.0)), F.lit(1.0))
