"""What a rank is told: the specification of a training job, passed as JSON."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tandem.models.ncf.config import SideSizes
from tandem.parameters import NCFParameters
from tandem.storage.locations import Location


class NCFJob(BaseModel):
    """Train NCF on these files; paths are absolute.

    user_features and item_features hold one row per known id (``user`` and ``item``, from 1); users, items: what of
    these the model takes. test: rows that a last model, the published one, learns beside those of ``train``; None: the
    model that has not seen them is published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: NCFParameters
    seed: int
    train: Location
    test: Location | None = None
    with_test: bool = False
    user_features: Location
    item_features: Location
    users: SideSizes
    items: SideSizes
    feature_spec_fingerprint: str
    staging: Path
    checkpoints: Path

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
