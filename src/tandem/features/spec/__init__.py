"""Everything fitted, as one JSON document; it needs no Spark, and neither does applying it (``columnar``)."""

from tandem.features.spec.base import SEPARATOR, UNKNOWN, Encoded, Statistic, Table
from tandem.features.spec.document import FORMAT_VERSION, FeatureSpec
from tandem.features.spec.kinds import (
    AnyFeature,
    BagFeature,
    BucketFeature,
    CrossFeature,
    DerivedFeature,
    FillFeature,
    IdFeature,
    LookupKind,
    MinMaxFeature,
    MissingFeature,
    MultiHotFeature,
    OneHotFeature,
    RankedVocabularyFeature,
    ScaledFeature,
    SequenceFeature,
    VocabularyFeature,
    VocabularyKind,
    ZScoreFeature,
)
from tandem.features.spec.lookups import GroupStatisticFeature, TargetEncodingFeature
from tandem.features.spec.order import encoded_inputs, in_layers

__all__ = [
    "AnyFeature",
    "BagFeature",
    "BucketFeature",
    "CrossFeature",
    "DerivedFeature",
    "Encoded",
    "FORMAT_VERSION",
    "FeatureSpec",
    "FillFeature",
    "GroupStatisticFeature",
    "IdFeature",
    "LookupKind",
    "MinMaxFeature",
    "MissingFeature",
    "MultiHotFeature",
    "OneHotFeature",
    "RankedVocabularyFeature",
    "SEPARATOR",
    "ScaledFeature",
    "SequenceFeature",
    "Statistic",
    "Table",
    "TargetEncodingFeature",
    "UNKNOWN",
    "VocabularyFeature",
    "VocabularyKind",
    "ZScoreFeature",
    "encoded_inputs",
    "in_layers",
]
