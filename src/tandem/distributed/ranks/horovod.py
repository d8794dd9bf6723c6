"""The ranks of one job under Horovod, imported here alone: PyTorch's and TensorFlow's extension behind one interface.

Every collective has a name that is the same at every step, so that Horovod's response cache takes the place of its
negotiation after the first. All of them block. Those that are called from Python are signs of life of the rank, beside
those of ``ranks.heartbeat``. A rank that stands in this file is taken to wait for the others
(``launch.stall_diagnosis``): nothing else that may take long belongs here.
"""

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tandem.distributed.job import Framework
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.event_file import heartbeat
from tandem.distributed.ranks.mpi_limits import check_gathered, pieces


def join(framework: Framework) -> Communicator:
    """Start Horovod in this process and meet the other ranks; ImportError when it is missing."""
    return _Torch() if framework == "torch" else _TensorFlow()


class _HorovodRanks(ABC):
    """What does not depend on the framework: arrays and numbers, by way of the framework's own tensors."""

    def __init__(self, extension: str) -> None:
        self._hvd: Any = importlib.import_module(extension)
        self._hvd.init()
        self.rank: int = self._hvd.rank()
        self.size: int = self._hvd.size()
        self.local_rank: int = self._hvd.local_rank()

    @abstractmethod
    def allreduce_sum_(self, tensor: Any) -> Any: ...

    @abstractmethod
    def _tensor(self, array: NDArray[Any]) -> Any: ...

    def allgather(self, array: NDArray[Any]) -> NDArray[Any]:
        check_gathered(array.size, self.size, "an allgather")
        name = f"allgather.{array.dtype}.{array.shape[1:]}"
        gathered = self._hvd.allgather(self._tensor(np.ascontiguousarray(array)), name=name)
        heartbeat()
        result: NDArray[Any] = gathered.numpy()
        return result

    def allreduce_array(self, array: NDArray[Any]) -> NDArray[Any]:
        summed = self.allreduce_sum_(self._tensor(array.copy()))
        heartbeat()
        result: NDArray[Any] = summed.numpy()
        return result

    def allreduce_scalars(self, values: Mapping[str, float]) -> dict[str, float]:
        sums = self.allreduce_array(np.array(list(values.values()), dtype=np.float64))
        return dict(zip(values, sums.tolist(), strict=True))

    def same_on_all_ranks(self, value: bytes | int) -> bool:
        data = value if isinstance(value, bytes) else str(value).encode()
        checksum = np.frombuffer(hashlib.blake2b(data, digest_size=8).digest(), dtype=np.int64)
        return bool((self.allgather(checksum) == checksum).all())

    def allreduce_in_graph(self, tensor: Any, name: str) -> Any:
        raise NotImplementedError(f"{name}: only TensorFlow has graphs")

    def allgather_in_graph(self, tensor: Any, name: str) -> Any:
        raise NotImplementedError(f"{name}: only TensorFlow has graphs")

    def barrier(self) -> None:
        self.allreduce_scalars({"barrier": 1.0})

    def close(self) -> None:
        self._hvd.shutdown()


class _Torch(_HorovodRanks):
    """Tensors are CPU ``torch.Tensor``; NumPy arrays share their memory with them."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        super().__init__("horovod.torch")

    def allreduce_sum_(self, tensor: Any) -> Any:
        name = f"allreduce.{tensor.dtype}.{tuple(tensor.shape)}"
        heartbeat()
        for part, of in self._parts(tensor, name):
            self._hvd.allreduce_(part, op=self._hvd.Sum, name=of)
        return tensor

    def broadcast_(self, tensor: Any, root: int = 0) -> Any:
        for part, of in self._parts(tensor, f"broadcast.{root}.{tensor.dtype}.{tuple(tensor.shape)}"):
            self._hvd.broadcast_(part, root, name=of)
        return tensor

    def _parts(self, tensor: Any, name: str) -> list[tuple[Any, str]]:
        """Views of the tensor that MPI can count, with names."""
        parts = pieces(tensor.numel())
        if len(parts) == 1:
            return [(tensor, name)]
        return [(tensor.view(-1)[part], f"{name}.{part.start}") for part in parts]

    def _tensor(self, array: NDArray[Any]) -> Any:
        return self._torch.from_numpy(array if array.flags.writeable else array.copy())


class _TensorFlow(_HorovodRanks):
    """Tensors are eager ``tf.Tensor`` (a new one is returned) or ``tf.Variable`` (assigned, and returned)."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf
        super().__init__("horovod.tensorflow")

    def allreduce_sum_(self, tensor: Any) -> Any:
        name = f"allreduce.{tensor.dtype.name}.{tuple(tensor.shape)}"
        return self._replace(tensor, self._summed(self._tf.convert_to_tensor(tensor), name))

    def broadcast_(self, tensor: Any, root: int = 0) -> Any:
        name = f"broadcast.{root}.{tensor.dtype.name}.{tuple(tensor.shape)}"
        value = self._tf.convert_to_tensor(tensor)
        return self._replace(tensor, self._in_parts(value, name, lambda part, of: self._hvd.broadcast(part, root, of)))

    def allreduce_in_graph(self, tensor: Any, name: str) -> Any:
        return self._summed(tensor, name, ignore_name_scope=True)

    def _summed(self, tensor: Any, name: str, **options: Any) -> Any:
        return self._in_parts(
            tensor, name, lambda part, of: self._hvd.allreduce(part, op=self._hvd.Sum, name=of, **options)
        )

    def _in_parts(self, tensor: Any, name: str, exchange: Callable[[Any, str], Any]) -> Any:
        """The tensor, exchanged in parts that MPI can count; in a graph, one of unknown size is one part."""
        parts = pieces(tensor.shape.num_elements() or 0)
        if len(parts) == 1:
            return exchange(tensor, name)
        flat = self._tf.reshape(tensor, [-1])
        exchanged = [exchange(flat[part], f"{name}.{part.start}") for part in parts]
        return self._tf.reshape(self._tf.concat(exchanged, axis=0), tensor.shape)

    def allgather_in_graph(self, tensor: Any, name: str) -> Any:
        @self._tf.custom_gradient  # type: ignore[untyped-decorator]
        def gathered(rows: Any) -> tuple[Any, Any]:
            def gradient(of_all: Any) -> Any:
                """Every rank's share of the gradient of these rows, added up."""
                counts = self._gather(self._tf.shape(rows)[:1], f"{name}.counts")
                start = self._tf.reduce_sum(counts[: self.rank])
                dense = self._tf.convert_to_tensor(of_all)  # the gradient of a gather is sparse
                summed = self.allreduce_in_graph(dense, f"{name}.gradient")
                return summed[start : start + counts[self.rank]]

            return self._gather(rows, name), gradient

        return gathered(tensor)

    def _gather(self, tensor: Any, name: str) -> Any:
        return self._hvd.allgather(tensor, name=name, ignore_name_scope=True)

    def _replace(self, tensor: Any, value: Any) -> Any:
        if not isinstance(tensor, self._tf.Variable):
            return value
        tensor.assign(value)
        return tensor

    def _tensor(self, array: NDArray[Any]) -> Any:
        return self._tf.convert_to_tensor(array)
