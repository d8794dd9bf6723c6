"""The feature spec: everything that was learnt from the training rows, as one JSON document.

A feature says where its raw value comes from and how it becomes numbers. Vocabularies that are small stand in the
document itself; large ones are a table that the document names, with a digest of its values. The module needs no Spark.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tandem.errors import UserError

FORMAT_VERSION: Literal[1] = 1

Table = Literal["user", "item", "pair"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Named(_Closed):
    """What the encoded column is called, and whose it is: the user's, the item's, or of the two together."""

    name: str
    table: Table


class _Source(_Named):
    """Where a raw value comes from."""

    column: str


class _Vocabulary(_Source):
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


class RankedVocabularyFeature(_Vocabulary):
    """One value a row, encoded as one id; ids by descending training frequency, so that each model may cut them off.

    A row with a list of values is encoded as the most frequent of those that have an id.
    """

    kind: Literal["ranked_vocabulary"] = "ranked_vocabulary"
    kept: dict[str, int] = Field(
        default_factory=dict, description="model -> the ids below this number are its own; the others are 0 to it"
    )


class BucketFeature(_Source):
    """A number, encoded as 1 + the number of edges that it reaches; missing is 0."""

    kind: Literal["bucket"] = "bucket"
    edges: tuple[float, ...] = Field(min_length=1)

    @property
    def size(self) -> int:
        """The number of ids, the unknown one included."""
        return len(self.edges) + 2


class CrossFeature(_Named):
    """Several encoded columns together, hashed to 1..buckets; 0 where every one of them is 0."""

    kind: Literal["cross"] = "cross"
    columns: tuple[str, ...] = Field(min_length=2)
    buckets: int = Field(ge=1)

    @property
    def size(self) -> int:
        """The number of ids, the unknown one included."""
        return self.buckets + 1


class ScaledFeature(_Source):
    """A number, or its log(1 + x), scaled to 0..1 between the smallest and largest of the training data; missing is 0.

    ``min`` and ``max`` are those of the number itself: the logarithm keeps the order.
    """

    kind: Literal["scaled"] = "scaled"
    min: float
    max: float
    log: bool = False


class MinMaxFeature(_Source):
    """A number, scaled to 0..1 between the smallest and largest of the training data; missing is the mean."""

    kind: Literal["min_max"] = "min_max"
    min: float
    max: float
    mean: float


AnyFeature = (
    VocabularyFeature
    | BagFeature
    | MinMaxFeature
    | RankedVocabularyFeature
    | BucketFeature
    | CrossFeature
    | ScaledFeature
)
Feature = Annotated[AnyFeature, Field(discriminator="kind")]


class FeatureSpec(_Closed):
    """All fitted features of one data set, and the sizes of the training data they were fitted on."""

    format_version: Literal[1] = FORMAT_VERSION
    num_users: int = Field(ge=0, description="users with at least one training interaction")
    num_items: int = Field(ge=0, description="items with at least one training interaction")
    num_training_rows: int = Field(ge=0)
    rows_digest: str | None = Field(
        default=None,
        description="of the training rows and of the seed that their negatives are drawn by, whatever their order",
        exclude_if=lambda digest: digest is None,
    )
    features: tuple[Feature, ...]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with anything that was fitted; a model keeps them beside its weights."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def sizes(self) -> dict[str, int]:
        """The number of ids, the unknown one included, of each feature that is encoded as ids."""
        return {f.name: f.size for f in self.features if not isinstance(f, MinMaxFeature | ScaledFeature)}

    def sizes_of(self, model: str) -> dict[str, int]:
        """``sizes`` for the rows of one model: with its own frequency limits, which cut ids off."""
        kept = {f.name: f.kept for f in self.features if isinstance(f, RankedVocabularyFeature)}
        return {name: kept.get(name, {}).get(model, size) for name, size in self.sizes.items()}

    def feature(self, name: str) -> AnyFeature:
        """The feature of that name; ``KeyError`` when there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def side_features(self, table: Table) -> tuple[AnyFeature, ...]:
        """The features of a table's rows beside the id itself, in their order."""
        return tuple(f for f in self.features if f.table == table and getattr(f, "path", None) is None)

    def to_json(self) -> dict[str, Any]:
        """The document, with its fingerprint, in JSON's own types."""
        return {**self.model_dump(mode="json"), "fingerprint": self.fingerprint}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "FeatureSpec":
        """Read what ``to_json`` wrote. ``UserError`` when its format is another one or its content was altered."""
        version = document.get("format_version")
        if version != FORMAT_VERSION:
            raise UserError(
                f"feature spec: format_version is {version!r}, this version of tandem reads {FORMAT_VERSION}; "
                "prepare the data again"
            )
        content = {key: value for key, value in document.items() if key != "fingerprint"}
        try:
            spec = cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(f"feature spec: {where}: {first['msg']}; prepare the data again") from error
        if document.get("fingerprint") != spec.fingerprint:
            raise UserError("feature spec: its content does not fit its fingerprint; prepare the data again")
        return spec
