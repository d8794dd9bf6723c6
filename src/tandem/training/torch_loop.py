"""Train a PyTorch module on one rank of many: the loop of ``training.loop``, with PyTorch's step.

- All weights lie in one vector: one allreduce a step, and one fused update. A table of ``sparse=True`` is not among
  them: the ranks gather each other's rows of its gradient (``training.torch_rows``).
- The loop divides the summed losses by the rows of all ranks.
- Buffers of floats, such as the moving averages of batch normalisation, are a rank's own within an epoch, and replaced
  by their mean over the ranks at its end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tandem.batches.columns import Floats, Ints
from tandem.errors import UserError
from tandem.training.flat_optimizers import FlatAdagrad, FlatAdam
from tandem.training.flat_parameters import FlatParameters
from tandem.training.loop import TrainingLoop, Values
from tandem.training.task import Task
from tandem.training.torch_rows import SparseTable

Columns = dict[str, Tensor]
"""Name of a column to its values, a tensor int32 or float32 [batch]."""


@dataclass(frozen=True, kw_only=True)
class TorchTask(Task):
    """A module and what it is trained on.

    model: all of its parameters that need a gradient are trained; they are float32.
    summed_loss: from the columns of this rank's rows of the step to the *sum* of their losses, a float32 scalar.
    bf16: whether forward and backward pass run under autocast.
    """

    model: nn.Module
    summed_loss: Callable[[Columns], Tensor]
    bf16: bool = False


class TorchTrainer(TrainingLoop[TorchTask]):
    """One rank's training of one module."""

    def _prepare(self) -> None:
        model = self.task.model
        sparse = {id(layer.weight) for layer in model.modules() if getattr(layer, "sparse", False)}
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        for name, parameter in trained.items():
            if parameter.dtype != torch.float32:
                raise UserError(f"{self.task.name}.builder: {name} is {parameter.dtype}, expected torch.float32")
        dense = {name for name, parameter in trained.items() if id(parameter) not in sparse}
        if not dense:
            raise UserError(f"{self.task.name}.builder: the model has no weights but sparse tables: give it a bias")
        kind = self.parameters.optimizer
        self.tables = [SparseTable(one, kind) for one in trained.values() if id(one) in sparse]
        self.flat = FlatParameters(model, chosen=dense.__contains__)
        (vector,) = self.flat.groups
        self.optimizer = FlatAdam([vector]) if kind == "adam" else FlatAdagrad([vector])
        frozen = [one.data for one in model.parameters() if not one.requires_grad]
        self.others = [*frozen, *(buffer for buffer in model.buffers() if buffer.numel())]
        self.weights = [self.flat.values, *(table.table.data for table in self.tables), *self.others]
        for weight in self.weights:
            if weight.is_floating_point():
                self.communicator.broadcast_(weight)

    def _begin_epoch(self, epoch: int) -> None:
        draws = np.random.default_rng([self.seed, epoch, self.communicator.rank, 2])
        torch.manual_seed(int(draws.integers(1 << 62)))

    def _train_step(self, ints: Ints, floats: Floats, rate: float, global_rows: int) -> float:
        self.task.model.train()
        self.flat.zero_grad()
        columns = columns_of(self.task.rows.int_names, self.task.rows.float_names, ints, floats)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.task.bf16):
            loss = self.task.summed_loss(columns) / global_rows
        loss.backward()  # type: ignore[no-untyped-call]
        self.communicator.allreduce_sum_(self.flat.grads)
        self.optimizer.step([rate])
        for table in self.tables:
            table.step(rate, self.communicator)
        return float(loss.detach())

    def _end_epoch(self) -> None:
        if self.communicator.size == 1:
            return
        for buffer in self.others:
            if buffer.is_floating_point():
                self.communicator.allreduce_sum_(buffer).div_(self.communicator.size)

    def _values(self) -> Values:
        return [weight.numpy().copy() for weight in self.weights]

    def _load(self, values: Values) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.copy_(torch.from_numpy(np.array(value)))

    def _optimizer_state(self) -> dict[str, npt.NDArray[Any]]:
        state = {name: value.numpy().copy() for name, value in self.optimizer.state().items()}
        for index, table in enumerate(self.tables):
            state[f"table.{index}.done"] = np.array(table.done)
            for place, values in enumerate(table.moments):
                state[f"table.{index}.{place}"] = values.numpy().copy()
        return state

    def _load_optimizer(self, state: dict[str, npt.NDArray[Any]]) -> None:
        own = {name: values for name, values in state.items() if not name.startswith("table.")}
        self.optimizer.load({name: torch.from_numpy(np.array(values)) for name, values in own.items()})
        for index, table in enumerate(self.tables):
            table.done = int(state[f"table.{index}.done"])
            for place, values in enumerate(table.moments):
                values.copy_(torch.from_numpy(np.array(state[f"table.{index}.{place}"])))


def columns_of(int_names: tuple[str, ...], float_names: tuple[str, ...], ints: Ints, floats: Floats) -> Columns:
    """Rows [n, names] as columns [n], which share their memory."""
    whole, real = torch.from_numpy(ints), torch.from_numpy(floats)
    columns = {name: whole[:, place] for place, name in enumerate(int_names)}
    return columns | {name: real[:, place] for place, name in enumerate(float_names)}
