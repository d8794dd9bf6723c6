"""What all parameter models share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]


class Parameters(BaseModel):
    """Immutable, and closed: a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
