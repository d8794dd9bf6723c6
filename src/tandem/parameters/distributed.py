"""Parameters of training jobs on several ranks."""

from typing import Annotated, Literal

from pydantic import Field

from tandem.parameters.closed import Parameters


class DistributedParameters(Parameters):
    """How the ranks of a training job are started and placed."""

    num_ranks: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    cores_per_rank: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    bind: bool = True
    strict: bool = Field(False, description="a binding that differs from the plan is an error, not a warning")
    start_timeout_seconds: float = Field(120.0, gt=0.0)
    stall_timeout_seconds: float = Field(300.0, gt=0.0)
    timeout_seconds: float | None = Field(None, gt=0.0)
