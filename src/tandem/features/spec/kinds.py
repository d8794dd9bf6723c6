"""The kinds of features: where a raw value comes from, what was fitted, and how it becomes numbers.

Vocabularies and statistics that are small stand in the document itself; large ones are a table that the document names,
with a digest of its values.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tandem.features.spec.base import UNKNOWN, Encoded, Finite, Named, Source
from tandem.features.spec.lookups import GroupStatisticFeature, TargetEncodingFeature


class _Vocabulary(Source):
    """Ids 1..size-1 for known values, 0 for all others. Either ``values``, the n-th having id n, or a ``path``."""

    size: int = Field(ge=1, description="number of ids, the unknown one included: the rows of an embedding table")
    values: tuple[str, ...] | None = None
    path: str | None = Field(
        default=None, description="the table that holds the ids beside their values, when they are many"
    )
    digest: str | None = Field(default=None, description="of the values in that table, whatever their order")
    min_count: int = Field(default=1, ge=1, description="rarer values were made unknown")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.values is None) == (self.path is None):
            raise ValueError(f"the vocabulary of {self.name} needs either values or a path")
        if self.values is not None and self.size != len(self.values) + 1:
            raise ValueError(f"size of {self.name} is {self.size}, its values and the unknown {len(self.values) + 1}")
        return self


class VocabularyFeature(_Vocabulary):
    """One value a row, encoded as one id."""

    kind: Literal["vocabulary"] = "vocabulary"


class BagFeature(_Vocabulary):
    """A list of values a row, encoded as the set of their ids."""

    kind: Literal["bag"] = "bag"

    @property
    def missing(self) -> Encoded:
        """No ids."""
        return ()


class RankedVocabularyFeature(_Vocabulary):
    """One value a row, encoded as one id; ids by descending training frequency, so that each model may cut them off.

    A row with a list of values is encoded as the most frequent of those that have an id.
    """

    kind: Literal["ranked_vocabulary"] = "ranked_vocabulary"
    kept: dict[str, int] = Field(
        default_factory=dict, description="model -> the ids below this number are its own; the others are 0 to it"
    )


class BucketFeature(Source):
    """A number, encoded as 1 + the number of edges that it reaches; missing is 0."""

    kind: Literal["bucket"] = "bucket"
    edges: tuple[float, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """The number of ids, the unknown one included."""
        return len(self.edges) + 2


class CrossFeature(Named):
    """Several encoded columns together, hashed to 1..buckets; 0 where every one of them is 0."""

    kind: Literal["cross"] = "cross"
    columns: tuple[str, ...] = Field(min_length=2)
    buckets: int = Field(ge=1)

    @property
    def size(self) -> int:
        """The number of ids, the unknown one included."""
        return self.buckets + 1


class ScaledFeature(Source):
    """A number, or its log(1 + x), scaled to 0..1 between the smallest and largest of the training data; missing is 0.

    ``min`` and ``max`` are those of the number itself: the logarithm keeps the order.
    """

    kind: Literal["scaled"] = "scaled"
    min: float
    max: float
    log: bool = False

    @property
    def missing(self) -> float:
        """The lower end of the range."""
        return 0.0


class MinMaxFeature(Source):
    """A number, scaled to 0..1 between the smallest and largest of the training data; missing is the mean."""

    kind: Literal["min_max"] = "min_max"
    min: float
    max: float
    mean: float

    @property
    def missing(self) -> float:
        """The mean, scaled."""
        if self.max <= self.min:
            return 0.0
        return min(max((self.mean - self.min) / (self.max - self.min), 0.0), 1.0)


class SequenceFeature(_Vocabulary):
    """A list of values a row, in order: the ids of its last ``length`` known ones, then 0 up to that length.

    The mask of a row is where its ids are above 0.
    """

    kind: Literal["sequence"] = "sequence"
    length: int = Field(ge=1)

    @property
    def missing(self) -> Encoded:
        """Nothing but padding."""
        return (UNKNOWN,) * self.length


class FillFeature(Source):
    """A number as it is; missing is ``value``, such as the median of the training data."""

    kind: Literal["fill"] = "fill"
    value: Finite

    @property
    def missing(self) -> float:
        """The value that stands for it."""
        return self.value


class ZScoreFeature(Source):
    """``(number - mean) / deviation``; missing is 0, and so is all where the deviation is 0."""

    kind: Literal["z_score"] = "z_score"
    mean: Finite
    deviation: Finite = Field(ge=0.0, description="of the population")

    @property
    def missing(self) -> float:
        """The mean."""
        return 0.0


class MissingFeature(Source):
    """1 where the row has no value (null or NaN), 0 where it has one."""

    kind: Literal["missing"] = "missing"

    @property
    def missing(self) -> float:
        """What it is there to say."""
        return 1.0


class OneHotFeature(Named):
    """An encoded id as ``size`` numbers: 1 at its place, 0 elsewhere, and nothing but 0 for an id beyond them."""

    kind: Literal["one_hot"] = "one_hot"
    of: str = Field(description="an encoded column of ids")
    size: int = Field(ge=1)

    @property
    def missing(self) -> Encoded:
        """Never asked for: an encoded column has no missing values."""
        return (0,) * self.size


class MultiHotFeature(Named):
    """An encoded bag as ``size`` numbers: 1 at the place of each of its ids, 0 elsewhere."""

    kind: Literal["multi_hot"] = "multi_hot"
    of: str = Field(description="an encoded column of bags")
    size: int = Field(ge=1)

    @property
    def missing(self) -> Encoded:
        """Never asked for: an encoded column has no missing values."""
        return (0,) * self.size


VocabularyKind = VocabularyFeature | RankedVocabularyFeature | BagFeature | SequenceFeature
LookupKind = TargetEncodingFeature | GroupStatisticFeature
IdFeature = VocabularyKind | BucketFeature | CrossFeature
"""Kinds that are encoded as ids, of a number that an embedding table needs to know."""
DerivedFeature = CrossFeature | OneHotFeature | MultiHotFeature
"""Kinds that read encoded columns, and no raw ones."""

AnyFeature = (
    IdFeature
    | DerivedFeature
    | LookupKind
    | MinMaxFeature
    | ScaledFeature
    | FillFeature
    | ZScoreFeature
    | MissingFeature
)
Feature = Annotated[AnyFeature, Field(discriminator="kind")]
