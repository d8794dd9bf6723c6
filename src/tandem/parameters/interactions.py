"""Parameters of interactions, whatever log they are from."""

from typing import Literal

from pydantic import Field

from tandem.parameters.closed import Parameters


class CleaningParameters(Parameters):
    """What to do with rows that a real log has and a clean one has not."""

    orphans: Literal["keep", "drop"] = Field(
        default="keep",
        description="interactions whose user or item has no row in its table: kept with unknown features, or dropped",
    )
