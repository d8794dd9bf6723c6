"""What a rank is told: the specification of a training job, passed as JSON."""

from pathlib import Path
from typing import Literal

from tandem.errors import UserError
from tandem.features.spec import BagFeature, FeatureSpec, MinMaxFeature, VocabularyFeature
from tandem.models.ncf.config import SideSizes
from tandem.parameters import NCFParameters
from tandem.storage.locations import Location
from tandem.training.job import TrainingJob

MAX_BAG_CELLS = 2**29
"""Of a list of categories as the model holds it, users (or items) x categories, 4 bytes each."""


class NCFJob(TrainingJob):
    """Train NCF on these files; paths are absolute.

    user_features and item_features hold one row per known id (``user`` and ``item``, from 1); users, items: what of
    these the model takes. test: rows that a last model, the published one, learns beside those of ``train``; None: the
    model that has not seen them is published.
    """

    parameters: NCFParameters
    train: Location
    test: Location | None = None
    with_test: bool = False
    user_features: Location
    item_features: Location
    users: SideSizes
    items: SideSizes

    @classmethod
    def of(
        cls,
        spec: FeatureSpec,
        parameters: NCFParameters,
        seed: int,
        train: Location,
        test: Location | None,
        user_table: Location,
        item_table: Location,
        staging: Path,
        checkpoints: Path,
    ) -> "NCFJob":
        """On rows that the spec has encoded; UserError where the lists of categories are too large for a rank."""
        return cls(
            parameters=parameters.model_copy(update={"publish": "evaluated" if test is None else "all"}),
            seed=seed,
            train=train.resolve(),
            test=None if test is None else test.resolve(),
            user_features=user_table.resolve(),
            item_features=item_table.resolve(),
            users=side_sizes(spec, "user"),
            items=side_sizes(spec, "item"),
            feature_spec_fingerprint=spec.fingerprint,
            staging=staging.resolve(),
            checkpoints=checkpoints.resolve(),
        )

    @property
    def num_users(self) -> int:
        """The unknown one (0) included."""
        return self.users.num_ids

    @property
    def num_items(self) -> int:
        """The unknown one (0) included."""
        return self.items.num_ids

    @property
    def sources(self) -> tuple[Location, ...]:
        """Where the rows to train on are."""
        return (self.train, self.test) if self.with_test and self.test is not None else (self.train,)

    def on_all_rows(self) -> "NCFJob":
        """The same, that trains on the test rows too."""
        return self.model_copy(update={"with_test": True})


def side_sizes(spec: FeatureSpec, table: Literal["user", "item"]) -> SideSizes:
    """How many users (or items) there are, the unknown one included, and what is known of them.

    Raises UserError where the lists of categories are too large for a rank.
    """
    features = spec.side_features(table)
    num_ids = (spec.num_users if table == "user" else spec.num_items) + 1
    for one in features:
        if isinstance(one, BagFeature) and num_ids * one.size > MAX_BAG_CELLS:
            raise UserError(
                f"{table}s: {one.column} has {one.size - 1:,} categories for {num_ids - 1:,} {table}s, a matrix of "
                f"{num_ids * one.size * 4 / 2**30:.1f} GiB in each rank; raise its min_count, or leave it out"
            )
    return SideSizes(
        num_ids=num_ids,
        categorical={f.name: f.size for f in features if isinstance(f, VocabularyFeature)},
        bags={f.name: f.size for f in features if isinstance(f, BagFeature)},
        numeric=tuple(f.name for f in features if isinstance(f, MinMaxFeature)),
    )
