"""Train a PyTorch module on one rank of many: the loop of ``training.loop``, with PyTorch's step.

- Weights lie in one vector, whose gradients are added up as the task's ``exchange`` does it: by one allreduce a step,
  and one fused update, where nothing else is said (``training.torch_exchange``).
- The loop divides the summed losses by what the rows of all ranks weigh.
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
from tandem.batches.rows import EpochKey
from tandem.batches.torch_streams import epoch_streams
from tandem.training.loop import TrainingLoop
from tandem.training.state import Values
from tandem.training.task import Task
from tandem.training.torch.exchange import MakeExchange, allreduced
from tandem.training.torch.flat_optimizers import FlatAdagrad, FlatAdam

Columns = dict[str, Tensor]
"""Name of a column to its values, a tensor int32 or float32 [batch]."""


@dataclass(frozen=True, kw_only=True)
class TorchTask(Task):
    """A module and what it is trained on.

    model: all of its parameters that need a gradient are trained; they are float32.
    summed_loss: from a batch, this rank's rows of the step, to the *sum* of its losses, a float32 scalar.
    bf16: whether forward and backward pass run under autocast.
    exchange: how the gradients are added up over the ranks.
    rate_factors: of the learning rate, for each group of the exchange's parameters.
    weight_decay: L2 penalty, added to the gradient, or decoupled, as AdamW does it; Adam's.
    constant_buffers: the module's buffers are data, and never change.
    """

    model: nn.Module
    summed_loss: Callable[[Any], Tensor]
    bf16: bool = False
    exchange: MakeExchange = allreduced
    rate_factors: tuple[float, ...] = (1.0,)
    weight_decay: float = 0.0
    decoupled_weight_decay: bool = False
    constant_buffers: bool = False


class TorchTrainer(TrainingLoop[TorchTask]):
    """One rank's training of one module."""

    def _prepare(self) -> None:
        task, model = self.task, self.task.model
        self.exchange = task.exchange(model, self.communicator, self.most_step_rows, self.parameters.optimizer)
        self.flat, self.tables = self.exchange.flat, self.exchange.tables
        if self.parameters.optimizer == "adam":
            decay, decoupled = task.weight_decay, task.decoupled_weight_decay
            self.optimizer: FlatAdam | FlatAdagrad = FlatAdam(self.flat.groups, weight_decay=decay, decoupled=decoupled)
        else:
            self.optimizer = FlatAdagrad(self.flat.groups)
        frozen = [one.data for one in model.parameters() if not one.requires_grad]
        buffers = [] if task.constant_buffers else [buffer for buffer in model.buffers() if buffer.numel()]
        self.others = [*frozen, *buffers]
        self.weights = [self.flat.values, *(table.table.data for table in self.tables), *self.others]
        for weight in self.weights:
            if weight.is_floating_point():
                self.communicator.broadcast_(weight)

    def _begin_epoch(self, key: EpochKey) -> None:
        torch.manual_seed(epoch_streams(key._replace(seed=key.seed + 1)).own.initial_seed())
        self.task.model.train()

    def _train_step(self, batch: Any, rate: float, global_weight: float) -> float:
        self.flat.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.task.bf16):
            loss = self.task.summed_loss(batch)
        loss = loss / global_weight
        loss.backward()  # type: ignore[no-untyped-call]
        self.exchange.add_up(batch)
        self.optimizer.step([rate * factor for factor in self.task.rate_factors])
        for table in self.tables:
            table.step(rate, self.communicator)
        return float(loss.detach())

    def _end_epoch(self) -> None:
        if self.communicator.size == 1:
            return
        for buffer in self.others:
            if buffer.is_floating_point():
                self.communicator.allreduce_sum_(buffer).div_(self.communicator.size)

    def values(self) -> Values:
        """Copies of all weights: the vector's, the sparse tables', and those that are not trained."""
        return [weight.numpy().copy() for weight in self.weights]

    def load(self, values: Values) -> None:
        """Take these weights."""
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
