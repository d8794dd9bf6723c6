"""What ranks say to each other, whatever carries it.

Sums only: means are divided by the caller, who knows the global batch. One rank needs no MPI and no Horovod.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray


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
        """The sum over the one rank: the tensor itself."""
        return tensor

    def broadcast_(self, tensor: Any, root: int = 0) -> Any:
        """The root's values are the tensor's own: the tensor itself."""
        return tensor

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        """The rows of the one rank: the array itself."""
        return array

    def allreduce_array(self, array: NDArray[Any]) -> NDArray[Any]:
        """The sum over the one rank: the array itself, not a copy."""
        return array

    def allreduce_scalars(self, values: Mapping[str, float]) -> dict[str, float]:
        """The sums over the one rank: the numbers as floats."""
        return {name: float(value) for name, value in values.items()}

    def same_on_all_ranks(self, value: bytes | int) -> bool:
        """True: there is no other rank to differ from."""
        return True

    def allreduce_in_graph(self, tensor: Any, name: str) -> Any:
        """The sum over the one rank: the tensor itself."""
        return tensor

    def allgather_in_graph(self, tensor: Any, name: str) -> Any:
        """The rows of the one rank: the tensor itself."""
        return tensor

    def barrier(self) -> None:
        """Nothing to wait for."""

    def close(self) -> None:
        """Nothing to leave."""
