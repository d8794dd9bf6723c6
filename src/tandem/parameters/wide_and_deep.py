"""Parameters of Wide & Deep."""

from pydantic import Field

from tandem.parameters.closed import Parameters


class WideAndDeepParameters(Parameters):
    """Wide & Deep: model and training."""

    epochs: int = Field(10, ge=1)
