"""Applying fitted features to any rows: what :mod:`tandem.features.columnar` does without Spark, to the same bits."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features.lists import split_list
from tandem.features.spec import (
    AnyFeature,
    GroupStatisticFeature,
    RankedVocabularyFeature,
    TargetEncodingFeature,
    VocabularyFeature,
    VocabularyKind,
    in_layers,
)
from tandem.features.vocabularies import encode_ids, encode_lists
from tandem.features.vocabulary import encode, encode_list, key_text, missing

_OneValue = VocabularyFeature | RankedVocabularyFeature
_Lookup = TargetEncodingFeature | GroupStatisticFeature


def apply(
    rows: DataFrame,
    features: Iterable[AnyFeature],
    tables: Mapping[str, DataFrame] | None = None,
    *,
    lists: Mapping[str, str] | None = None,
) -> DataFrame:
    """The rows with the encoded column of each feature, in the place of a column that has its name already.

    Args:
        rows: with the source columns of the features.
        features: such as those of a spec; each may read the encoded columns of others.
        tables: name of a feature with a ``path`` -> that table: ``value`` and ``id``, or ``value`` and ``number``.
        lists: name of a feature whose column holds lists as texts -> their separator.

    Raises:
        UserError: a table is not given; or a feature reads an encoded column that there is not.
    """
    for layer in in_layers(features):
        rows = _with_layer(rows, layer, tables or {}, lists or {})
    return rows


def _with_layer(
    rows: DataFrame, layer: Sequence[AnyFeature], tables: Mapping[str, DataFrame], lists: Mapping[str, str]
) -> DataFrame:
    names = rows.columns
    joined = {feature.name: feature for feature in layer if getattr(feature, "path", None) is not None}
    for name, feature in joined.items():
        if name not in tables:
            raise UserError(f"feature {name} ({feature.kind}) lies in {getattr(feature, 'path', None)}: give its table")
        if not isinstance(feature, _OneValue | _Lookup):
            raise UserError(f"feature {name}: Spark applies a {feature.kind} alone whose values stand in the spec")
    rows = _with_ids(rows, [f for f in joined.values() if isinstance(f, _OneValue)], tables, lists)
    for lookup in (f for f in joined.values() if isinstance(f, _Lookup)):
        rows = _with_number(rows, lookup, tables[lookup.name])
    encoded = {f.name: _joined(f) if f.name in joined else _inline(f, lists.get(f.name)) for f in layer}
    return rows.withColumns(encoded).select(*names, *(name for name in encoded if name not in names))


def _inline(feature: AnyFeature, separator: str | None) -> Column:
    """The encoded column of a feature that needs no table."""
    if separator is None or not isinstance(feature, VocabularyKind):
        return encode(feature)
    return encode_list(feature, split_list(F.col(feature.column), separator))


def _joined(feature: AnyFeature) -> Column:
    return F.coalesce(F.col(_temporary(feature.name)), missing(feature))


def _temporary(name: str) -> str:
    return f"_joined_{name}"


def _with_ids(
    rows: DataFrame, features: Sequence[_OneValue], tables: Mapping[str, DataFrame], lists: Mapping[str, str]
) -> DataFrame:
    """The rows with the ids of features whose vocabularies lie in tables."""
    rows = rows.withColumns({_temporary(f.name): F.col(f.column).cast("string") for f in features})
    sizes = {_temporary(f.name): f.size for f in features}
    of = {_temporary(f.name): tables[f.name] for f in features}
    by_separator = defaultdict[str, list[str]](list)
    for feature in features:
        if feature.name in lists:
            by_separator[lists[feature.name]].append(_temporary(feature.name))
    for separator, names in by_separator.items():
        rows = encode_lists(rows, {name: of[name] for name in names}, sizes, separator)
    plain = {_temporary(f.name): tables[f.name] for f in features if f.name not in lists}
    return encode_ids(rows, plain, sizes) if plain else rows


def _with_number(rows: DataFrame, feature: _Lookup, table: DataFrame) -> DataFrame:
    number = F.col("number").cast("float").alias(_temporary(feature.name))
    of_key = table.select(F.col("value").alias("_key"), number)
    return rows.join(of_key, key_text(feature.keys) == F.col("_key"), "left").drop("_key")
