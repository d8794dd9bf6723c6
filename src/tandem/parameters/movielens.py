"""Parameters of MovieLens data."""

from typing import Self

from pydantic import Field, model_validator

from tandem.parameters.closed import Parameters


class SyntheticMovieLens(Parameters):
    """Size of the generated MovieLens (its seed is the run's)."""

    users: int = Field(default=1_000, ge=2, description="generated users")
    items: int = Field(default=1_700, ge=2, description="generated items")
    ratings: int = Field(default=100_000, ge=2, description="generated ratings, at most users x items")

    @model_validator(mode="after")
    def _no_pair_twice(self) -> Self:
        if self.ratings > self.users * self.items:
            raise ValueError(
                f"{self.ratings} ratings do not fit {self.users} users x {self.items} items without a repetition; ask "
                f"for at most {self.users * self.items}, or for more users or items"
            )
        return self
