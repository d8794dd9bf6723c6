"""Parameters of MovieLens data."""

from typing import Literal

from pydantic import Field

from tandem.parameters.closed import Parameters


class SyntheticMovieLens(Parameters):
    """Size of the generated MovieLens (its seed is the run's)."""

    users: int = Field(default=1_000, ge=2)
    items: int = Field(default=1_700, ge=2)
    ratings: int = Field(default=100_000, ge=2)


class MovieLensParameters(Parameters):
    """What to do with rows that a real log has and a clean one has not."""

    orphan_ratings: Literal["keep", "drop"] = Field(
        default="keep",
        description="ratings whose user or item has no row in its table: kept with unknown features, or dropped",
    )
