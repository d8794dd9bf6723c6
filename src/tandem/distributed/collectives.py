"""What ranks say to each other: the only place that imports Horovod.

Sums only: means are divided by the caller, who knows the global batch. One rank needs no MPI and no Horovod.
"""

import os
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from tandem.distributed import intel_mpi
from tandem.distributed.doctor import DISTRIBUTIONS, check_framework, find_horovod, read_record
from tandem.distributed.job import NUM_RANKS, Framework
from tandem.errors import UserError
from tandem.parameters import ChosenMpi

_EXTENSIONS = {"torch": "mpi_lib_v2", "tensorflow": "mpi_lib"}


class Communicator(Protocol):
    """The ranks of one job. Tensors are the framework's own (torch: in place on the CPU), arrays NumPy's.

    Every call but the properties is collective: all ranks make it, in the same order, with equal shapes and types
    unless said otherwise.
    """

    @property
    def rank(self) -> int:
        """This process's number, from 0."""

    @property
    def size(self) -> int:
        """Number of ranks."""

    @property
    def local_rank(self) -> int:
        """This process's number on its host, from 0."""

    def allreduce_sum_(self, tensor: Any) -> Any:
        """Sum over all ranks, in place; returns the tensor. float32/64 and int32/64; no bfloat16."""

    def broadcast_(self, tensor: Any, root: int = 0) -> Any:
        """Overwrite by the root's values, in place; returns the tensor."""

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        """Concatenate along the first dimension, in rank order; first dimensions may differ."""

    def allreduce_array(self, array: NDArray[Any]) -> NDArray[Any]:
        """Sum over all ranks, of any shape, of either framework; float32/64 and int32/64. The array stays as it is."""

    def allreduce_scalars(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sum named numbers, as 64-bit floats; the names and their order are the same on all ranks."""

    def same_on_all_ranks(self, value: bytes | int) -> bool:
        """Whether all ranks hold the same number or bytes (compared by a 64-bit checksum)."""

    def allreduce_in_graph(self, tensor: Any, name: str) -> Any:
        """Sum over all ranks of a tensor inside a ``tf.function``, differentiable; TensorFlow alone, no bfloat16.

        name: the same on all ranks, and in one graph used once.
        """

    def allgather_in_graph(self, tensor: Any, name: str) -> Any:
        """Rows of all ranks, in rank order, inside a ``tf.function``; first dimensions may differ; TensorFlow alone.

        Differentiable: the gradient of a rank's rows is the *sum* over the ranks (Horovod's own is their mean).
        """

    def barrier(self) -> None:
        """Wait for all ranks."""

    def close(self) -> None:
        """Leave the job; no call may follow."""


class SingleRank:
    """One rank, without MPI."""

    rank = 0
    size = 1
    local_rank = 0

    def allreduce_sum_(self, tensor: Any) -> Any:
        """The tensor itself."""
        return tensor

    def broadcast_(self, tensor: Any, root: int = 0) -> Any:
        """The tensor itself."""
        return tensor

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array

    def allreduce_array(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return array

    def allreduce_scalars(self, values: Mapping[str, float]) -> dict[str, float]:
        """The numbers as floats."""
        return {name: float(value) for name, value in values.items()}

    def same_on_all_ranks(self, value: bytes | int) -> bool:
        """True."""
        return True

    def allreduce_in_graph(self, tensor: Any, name: str) -> Any:
        """The tensor itself."""
        return tensor

    def allgather_in_graph(self, tensor: Any, name: str) -> Any:
        """The tensor itself."""
        return tensor

    def barrier(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to leave."""


def horovod_missing(framework: Framework, mpi: ChosenMpi = "openmpi") -> str | None:
    """Why Horovod cannot be used with this framework here; None when it can. Imports nothing.

    In a rank it is the Horovod on the rank's own path, whatever the MPI.
    """
    horovod = intel_mpi.find_horovod() if mpi == "intelmpi" else find_horovod()
    if horovod is None:
        return "there is no Horovod for Intel MPI" if mpi == "intelmpi" else "Horovod is not installed"
    if not any((horovod / framework).glob(f"{_EXTENSIONS[framework]}*.so")):
        return f"Horovod was built without {framework}"
    fits = check_framework(framework, DISTRIBUTIONS[framework], read_record(horovod))
    return None if fits.ok else f"{framework} is {fits.found}"


def connect(framework: Framework) -> Communicator:
    """Join the job that the launcher's environment describes; collective where there are several ranks.

    Raises:
        UserError: several ranks without Horovod, or started by an mpirun that Horovod does not belong to.
    """
    expected = int(os.environ.get(NUM_RANKS, "1"))
    if expected == 1:
        return SingleRank()
    reason = horovod_missing(framework)
    if reason is not None:
        raise UserError(f"{reason}, and this job has {expected} ranks; build it: make setup")
    from tandem.distributed.horovod_ranks import join

    joined = join(framework)
    if joined.size != expected:
        raise UserError(
            f"Horovod found {joined.size} rank(s) where mpirun started {expected}: mpirun and the MPI that Horovod was "
            "built against do not belong together; see: make doctor"
        )
    return joined
