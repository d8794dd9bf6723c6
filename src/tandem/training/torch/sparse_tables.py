"""Tables of which a step updates the rows of its batch alone: ``torch.nn.Embedding(sparse=True)``, on many ranks."""

from typing import Literal

import torch
from torch import Tensor, nn

from tandem.distributed.ranks.communicator import Communicator
from tandem.training.torch.flat_optimizers import BETA_1, BETA_2, EPSILON

Kind = Literal["adam", "adagrad"]


class SparseTable:
    """A table and its optimizer's moments.

    Adam is lazy, as ``torch.optim.SparseAdam``: a row stands still, moments included, until its next gradient. The
    bias correction is by the number of steps of the whole training.
    """

    def __init__(self, table: nn.Parameter, kind: Kind) -> None:
        self.table, self.kind = table, kind
        self.moments = [torch.zeros_like(table) for _ in range(2 if kind == "adam" else 1)]
        self.done = 0

    @torch.no_grad()
    def step(self, rate: float, communicator: Communicator) -> None:
        """Collective: add up the gradients of all ranks, in the order of the ranks, and update their rows."""
        ids, grads = _summed(self.table, communicator)
        self.done += 1
        moments = [values[ids] for values in self.moments]
        if self.kind == "adam":
            first, second = moments
            first.lerp_(grads, 1 - BETA_1)
            second.mul_(BETA_2).addcmul_(grads, grads, value=1 - BETA_2)
            corrected = rate / (1 - BETA_1**self.done)
            divisor = (second / (1 - BETA_2**self.done)).sqrt_().add_(EPSILON[self.kind])
            update = first / divisor * corrected
        else:
            (squares,) = moments
            squares.addcmul_(grads, grads)
            update = rate * grads / squares.sqrt().add_(EPSILON[self.kind])
        self.table[ids] -= update
        for values, changed in zip(self.moments, moments, strict=True):
            values[ids] = changed
        self.table.grad = None


def _summed(table: nn.Parameter, communicator: Communicator) -> tuple[Tensor, Tensor]:
    """Ids [n], ascending, and the gradients [n, dim] of all ranks, added up."""
    if table.grad is None:  # no row of this table was looked up
        ids, grads = torch.zeros(0, dtype=torch.int64), torch.zeros(0, *table.shape[1:])
    else:
        own = table.grad.coalesce()
        ids, grads = own.indices()[0], own.values()
    if communicator.size == 1:
        return ids, grads
    packed = torch.cat([ids.int().unsqueeze(1), grads.contiguous().view(torch.int32)], 1)
    gathered = torch.from_numpy(communicator.allgather(packed.numpy()))
    all_ids, place = torch.unique(gathered[:, 0].long(), return_inverse=True)
    values = gathered[:, 1:].contiguous().view(torch.float32)
    return all_ids, torch.zeros(len(all_ids), values.shape[1]).index_add_(0, place, values)
