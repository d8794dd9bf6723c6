"""A feature spec applied to columns of Arrow: built once, then for any number of rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa

from tandem.errors import UserError
from tandem.features.columnar.derived import derived, missing
from tandem.features.columnar.lists import Lists, bags, is_list, most_frequent, sequences, split_list
from tandem.features.columnar.lookups import Lookup
from tandem.features.columnar.numbers import Scaled, Scaler, buckets, filled, z_scores
from tandem.features.columnar.sources import Columns, Sources
from tandem.features.columnar.tables import Vocabularies, Vocabulary, lookup, vocabulary
from tandem.features.spec import (
    AnyFeature,
    BagFeature,
    BucketFeature,
    CrossFeature,
    FeatureSpec,
    FillFeature,
    GroupStatisticFeature,
    LookupKind,
    MissingFeature,
    MultiHotFeature,
    OneHotFeature,
    RankedVocabularyFeature,
    SequenceFeature,
    TargetEncodingFeature,
    VocabularyFeature,
    VocabularyKind,
    ZScoreFeature,
    encoded_inputs,
    in_layers,
)


@dataclass(frozen=True)
class Encoder:
    """Features that are ready to be applied."""

    features: tuple[AnyFeature, ...]
    names: tuple[str, ...]
    separators: Mapping[str, str]
    vocabularies: Mapping[str, Vocabulary]
    lookups: Mapping[str, Lookup]
    scaled: tuple[Scaled, ...] = field(default=())
    scaler: Scaler | None = None

    @classmethod
    def of(
        cls,
        spec: FeatureSpec | Iterable[AnyFeature],
        vocabularies: Vocabularies | None = None,
        *,
        lists: Mapping[str, str] | None = None,
        names: Sequence[str] | None = None,
    ) -> Self:
        """Prepare what rows are looked up in.

        Args:
            spec: the spec, or some features.
            vocabularies: the tables that features with a ``path`` name, by the features' names.
            lists: name of a feature whose column holds lists as texts -> their separator.
            names: of the features to encode, in this order; all of them, where none are given.

        Raises:
            UserError: there is no such feature, a table is not given, or a feature reads an encoded column that there
                is not.
        """
        every = spec.features if isinstance(spec, FeatureSpec) else tuple(spec)
        wanted = tuple(names) if names is not None else tuple(feature.name for feature in every)
        needed = _needed({feature.name: feature for feature in every}, wanted)
        features = tuple(feature for layer in in_layers(needed) for feature in layer)
        tables = vocabularies or {}
        scaled = tuple(f for f in features if isinstance(f, Scaled))
        return cls(
            features,
            wanted,
            dict(lists or {}),
            {f.name: vocabulary(f, tables) for f in features if isinstance(f, VocabularyKind)},
            {f.name: lookup(f, tables) for f in features if isinstance(f, LookupKind)},
            scaled,
            Scaler(scaled) if scaled else None,
        )

    def encode(self, columns: Columns) -> pa.RecordBatch:
        """The encoded columns of rows, in the order of the spec: int32, float32 and list<int32>, without nulls.

        They have the bits that Spark gives (:func:`tandem.features.vocabulary.encode`, ``encode_ids``,
        ``encode_lists``): values that training did not see have id 0, and missing ones what the feature says of them.

        Args:
            columns: the raw columns of some rows, one or millions. A list in a ``ranked_vocabulary`` stands for the
                most frequent of its values.

        Raises:
            UserError: a column is not there, has another length than others, or is of a type that its feature cannot
                read.
        """
        sources = Sources(columns)
        encoded: dict[str, Any] = self._scaled(sources)
        for feature in self.features:
            if not isinstance(feature, Scaled):
                encoded[feature.name] = self._encoded(feature, sources, encoded)
        arrays = [
            column if isinstance(column, pa.Array) else pa.array(column) for column in map(encoded.get, self.names)
        ]
        return pa.RecordBatch.from_arrays(arrays, list(self.names))

    def _scaled(self, sources: Sources) -> dict[str, Any]:
        if self.scaler is None:
            return {}
        numbers = np.stack([sources.numbers(feature.column, feature.name) for feature in self.scaled])
        return {f.name: row for f, row in zip(self.scaled, self.scaler.scale(numbers), strict=True)}

    def _encoded(self, feature: AnyFeature, sources: Sources, encoded: Mapping[str, Any]) -> Any:
        match feature:
            case CrossFeature() | OneHotFeature() | MultiHotFeature():
                return derived(feature, encoded, sources.rows)
            case BucketFeature() | FillFeature() | ZScoreFeature():
                return _number(feature, sources)
            case MissingFeature():
                return missing(sources.column(feature.column, feature.name))
            case TargetEncodingFeature() | GroupStatisticFeature():
                columns = [sources.column(name, feature.name) for name in feature.keys]
                return self.lookups[feature.name].numbers(columns)
            case VocabularyFeature() | RankedVocabularyFeature() | BagFeature() | SequenceFeature():
                return self._ids(feature, sources)
            case _:
                raise AssertionError(f"{feature.kind} is scaled with others")

    def _ids(self, feature: VocabularyKind, sources: Sources) -> Any:
        column = sources.column(feature.column, feature.name)
        if feature.name in self.separators and not is_list(column.type):
            column = split_list(column, self.separators[feature.name])
        known = self.vocabularies[feature.name]
        if isinstance(feature, VocabularyFeature | RankedVocabularyFeature) and not is_list(column.type):
            return known.of(column)
        lists = Lists.of(column, feature.name)
        ids = known.of(lists.values)
        match feature:
            case BagFeature():
                return bags(lists, ids, feature.size, sources.rows)
            case SequenceFeature():
                return sequences(lists, ids, feature.length, sources.rows)
            case RankedVocabularyFeature():
                return most_frequent(lists, ids, sources.rows)
            case VocabularyFeature():
                raise UserError(
                    f"feature {feature.name}: its column holds {column.type}, and should hold one value a row"
                )


def encode(
    spec: FeatureSpec,
    columns: Columns,
    vocabularies: Vocabularies | None = None,
    *,
    lists: Mapping[str, str] | None = None,
) -> pa.RecordBatch:
    """The encoded columns of rows, by a spec that is read for them alone: see :meth:`Encoder.of` and its ``encode``."""
    return Encoder.of(spec, vocabularies, lists=lists).encode(columns)


def _number(feature: BucketFeature | FillFeature | ZScoreFeature, sources: Sources) -> Any:
    numbers = sources.numbers(feature.column, feature.name)
    match feature:
        case BucketFeature():
            return buckets(feature, numbers)
        case FillFeature():
            return filled(feature, numbers)
        case ZScoreFeature():
            return z_scores(feature, numbers)


def _needed(features: Mapping[str, AnyFeature], names: Sequence[str]) -> list[AnyFeature]:
    """The features of these names, and all that they read, in the order of the spec."""
    wanted, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        if name in features:
            waiting += [other for other in encoded_inputs(features[name]) if other in features]
        else:
            raise UserError(f"there is no feature {name}; name one of {', '.join(features)}")
    return [feature for name, feature in features.items() if name in wanted]
