"""Parameters of training jobs on several ranks."""

from typing import Annotated, Literal

from pydantic import Field

from tandem.parameters.closed import Parameters

CpuList = Annotated[str, Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$", coerce_numbers_to_str=True)]


class DistributedParameters(Parameters):
    """How the ranks of a training job are started and placed."""

    num_ranks: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    cores_per_rank: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    domain: Literal["numa", "package", "host"] = Field(
        "numa",
        description="what no rank crosses unless it needs more cores than one has; num_ranks auto: one per domain",
    )
    communication_cores: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        "auto", description="cores of each rank without a computing thread; auto: one of eight or more, else none"
    )
    horovod_cpus: Literal["auto", "none"] | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        "auto", description="CPU of Horovod's thread for each rank of a host; auto: in the rank's communication core"
    )
    threads_per_rank: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="computing threads; auto: one per core that is not kept for communication"
    )
    hardware_threads: bool = Field(False, description="with threads auto: one per hardware thread, not per core")
    rank_cpus: Literal["auto"] | Annotated[tuple[CpuList, ...], Field(min_length=1)] = Field(
        "auto", description="CPUs of each rank of a host, as `[0-13, 14-27]`, instead of planning them"
    )
    bind: bool = True
    strict: bool = Field(False, description="a binding that differs from the plan is an error, not a warning")
    start_timeout_seconds: float = Field(120.0, gt=0.0)
    stall_timeout_seconds: float = Field(300.0, gt=0.0)
    timeout_seconds: float | None = Field(None, gt=0.0)
