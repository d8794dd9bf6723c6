"""What an operation learnt from training rows: small, immutable, and one JSON document."""

from pydantic import BaseModel, ConfigDict

# Sums of floats depend on their order, and so on the partitioning, in their last digits: these are what is kept.
_DIGITS = 12


class Fitted(BaseModel):
    """Written by ``model_dump_json()`` and read by ``model_validate_json(text)``; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def stable(number: float) -> float:
    """The number to 12 significant digits."""
    return float(f"{number:.{_DIGITS}g}")
