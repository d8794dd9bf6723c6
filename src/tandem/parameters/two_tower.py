"""Parameters of the two-tower model, its index and its lists."""

from pydantic import Field

from tandem.parameters.closed import Parameters


class TwoTowerParameters(Parameters):
    """Two towers: model, training and retrieval."""

    epochs: int = Field(3, ge=1)
