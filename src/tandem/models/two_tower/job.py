"""What the ranks of a two-tower training are told, as JSON."""

from pathlib import Path

from tandem.features.spec import FeatureSpec
from tandem.models.two_tower.config import TwoTowerConfig
from tandem.parameters import TwoTowerParameters
from tandem.storage.locations import Location
from tandem.training.job import TrainingJob


class TwoTowerJob(TrainingJob):
    """Train two towers on these files, and apply them; paths are absolute.

    sizes: of each id column of the rows, the number of ids, 0 included. user_features, item_features: one row per
    ``user_id`` or ``tweet_id``, of which vectors are made.
    """

    parameters: TwoTowerParameters
    train: Location
    test: Location
    user_features: Location
    item_features: Location
    sizes: dict[str, int]

    @classmethod
    def of(
        cls,
        spec: FeatureSpec,
        sizes_of: str,
        parameters: TwoTowerParameters,
        seed: int,
        train: Location,
        test: Location,
        user_features: Location,
        item_features: Location,
        staging: Path,
        checkpoints: Path,
    ) -> "TwoTowerJob":
        """On rows that the spec has encoded; sizes_of: whose cut-offs of the vocabularies."""
        return cls(
            parameters=parameters,
            seed=seed,
            train=train.resolve(),
            test=test.resolve(),
            user_features=user_features.resolve(),
            item_features=item_features.resolve(),
            sizes=spec.sizes_of(sizes_of),
            feature_spec_fingerprint=spec.fingerprint,
            staging=staging.resolve(),
            checkpoints=checkpoints.resolve(),
        )

    @property
    def config(self) -> TwoTowerConfig:
        """Of the towers to be built."""
        return TwoTowerConfig(
            parameters=self.parameters.model,
            builder=self.parameters.builder,
            builder_options=self.parameters.builder_options,
            sizes=self.sizes,
            feature_spec_fingerprint=self.feature_spec_fingerprint,
        )
