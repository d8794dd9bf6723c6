"""Parameters of training jobs on several ranks."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tandem.parameters.closed import Parameters

ChosenMpi = Literal["openmpi", "intelmpi"]
CpuList = Annotated[str, Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$", coerce_numbers_to_str=True)]
# Neither a name nor an agent may look like an option to the program that gets it.
HostSlots = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(:[1-9]\d*)?$")]


def _is_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"expected a network as 10.0.0.0/16, found {text!r}") from None
    return text


Network = Annotated[str, AfterValidator(_is_network)]


class DistributedParameters(Parameters):
    """How the ranks of a training job are started and placed."""

    mpi: ChosenMpi = Field(
        default="openmpi",
        description="what starts the ranks and sums between them; `make setup MPI=intelmpi` adds the other",
    )
    num_ranks: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    cores_per_rank: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    domain: Literal["numa", "package", "host"] = Field(
        default="numa",
        description="what no rank crosses unless it needs more cores than one has; num_ranks auto: one per domain",
    )
    communication_cores: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        default="auto",
        description="cores of each rank without a computing thread; auto: one of eight or more, else none",
    )
    horovod_cpus: Literal["auto", "none"] | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default="auto",
        description="CPU of Horovod's thread for each rank of a host; auto: in the rank's communication core",
    )
    threads_per_rank: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="computing threads; auto: one per core that is not kept for communication"
    )
    hardware_threads: bool = Field(
        default=False, description="with threads auto: one per hardware thread, not per core"
    )
    rank_cpus: Literal["auto"] | Annotated[tuple[CpuList, ...], Field(min_length=1)] = Field(
        default="auto", description="CPUs of each rank of a host, as `[0-13, 14-27]`, instead of planning them"
    )
    bind: bool = True
    strict: bool = Field(default=False, description="a binding that differs from the plan is an error, not a warning")
    hosts: tuple[HostSlots, ...] = Field(
        default=(),
        description="where ranks run, as `[node1:2, node2:2]` with the number of ranks or without; none: here",
    )
    hostfile: Path | None = Field(
        default=None, description="file with a host per line, as `node1 slots=2` or `node1:2`, instead of `hosts`"
    )
    launch_agent: Annotated[str, Field(pattern=r"^[^-\s:'\"\\][^:'\"\\]*$")] = Field(
        default="ssh", description="program that runs a command on a host, called as `AGENT HOST COMMAND`; with options"
    )
    network: Network | None = Field(
        default=None, description="the hosts' network for MPI, as `10.0.0.0/16`, where they have several"
    )
    start_timeout_seconds: float = Field(default=120.0, gt=0.0)
    stall_timeout_seconds: float = Field(default=300.0, gt=0.0)
    timeout_seconds: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _hosts_once(self) -> Self:
        if self.hosts and self.hostfile is not None:
            raise ValueError("expected hosts or hostfile, found both")
        return self

    @model_validator(mode="after")
    def _intel_mpi_here(self) -> Self:
        if self.mpi == "intelmpi" and (self.hosts or self.hostfile is not None):
            raise ValueError(
                "expected no hosts with mpi: intelmpi, which runs on this host alone (its packages have no network "
                "library); for several hosts set mpi: openmpi"
            )
        return self
