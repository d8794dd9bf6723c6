"""What all parameter models share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Rate = Annotated[float, Field(ge=0.0, lt=1.0)]
# NumPy's streams take none below 0; Keras and the classical baselines take 32 bits, and some add a few to it.
# Strict, as a node gets what was written: 7.0, true and "7" are no numbers to draw from.
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**31)]


class Parameters(BaseModel):
    """Immutable, and closed: a misspelt key is an error. Numbers are finite: JSON, which ranks get, has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
