"""What a rank of a click model is told, as JSON; and whether the parameters fit the data. No framework is imported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tandem.errors import UserError, did_you_mean
from tandem.features.spec import FeatureSpec
from tandem.models.click.config import ClickConfig
from tandem.parameters import ClickParameters
from tandem.storage.locations import Location
from tandem.training.job import TrainingJob

# Parameters that may differ between a run and the one that resumes it.
FREE_ON_RESUME = {"resume", "checkpoint_seconds", "baselines"}


class ClickJob(TrainingJob):
    """Train a click model, or a model of the user's own in its place, on these rows; paths are absolute.

    name: of the model, and so of its block of parameters, in messages too.
    sizes: number of ids, 0 = unknown included, of every id column that the model reads.
    """

    name: str
    parameters: ClickParameters
    train: Location
    sizes: dict[str, int]

    @classmethod
    def of(
        cls,
        name: str,
        spec: FeatureSpec,
        parameters: ClickParameters,
        seed: int,
        train: Location,
        staging: Path,
        checkpoints: Path,
    ) -> "ClickJob":
        """On rows that the spec has encoded; UserError where the model names a column that is not among them."""
        return cls(
            name=name,
            parameters=parameters,
            seed=seed,
            train=train.resolve(),
            sizes=sizes_of_columns(name, parameters, spec.sizes),
            feature_spec_fingerprint=spec.fingerprint,
            staging=staging.resolve(),
            checkpoints=checkpoints.resolve(),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What a run must agree in with the one that it resumes."""
        values = self.parameters.model_dump(mode="json", exclude=FREE_ON_RESUME)
        return {f"{self.name}.{name}": value for name, value in values.items()}

    @property
    def dropped_ids(self) -> tuple[str, ...]:
        """The id columns that are trained to meet 0, the unknown, at ``unknown_rate``."""
        columns = self.parameters.model
        return tuple(dict.fromkeys((*columns.embeddings, *columns.wide)))

    @property
    def config(self) -> ClickConfig:
        """What it takes to load the model."""
        return ClickConfig(
            tag=self.name,
            parameters=self.parameters,
            sizes=self.sizes,
            feature_spec_fingerprint=self.feature_spec_fingerprint,
        )


def sizes_of_columns(model: str, parameters: ClickParameters, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of the id columns that a model's parameters name; sizes: those of all id columns of the data.

    Raises UserError where a column is not one of them.
    """
    for name in parameters.model.id_columns:
        if name not in sizes:
            raise UserError(f"{model}.model: the rows have no id column {name}; {did_you_mean(name, sizes)}")
    return {name: sizes[name] for name in parameters.model.id_columns}
