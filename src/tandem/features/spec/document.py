"""The feature spec: everything that was learnt from the training rows, as one JSON document."""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field, ValidationError

from tandem.errors import UserError
from tandem.features.spec.base import Closed, Table
from tandem.features.spec.kinds import (
    AnyFeature,
    Feature,
    IdFeature,
    RankedVocabularyFeature,
)

FORMAT_VERSION: Literal[1] = 1


class FeatureSpec(Closed):
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
        return {f.name: f.size for f in self.features if isinstance(f, IdFeature)}

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
