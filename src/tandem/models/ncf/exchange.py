"""The sum over the ranks of NCF's gradients: one allreduce; of large tables the rows of the batch are gathered."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from tandem.distributed.ranks.communicator import Communicator
from tandem.models.ncf.negatives import Batch, SharedBatch
from tandem.models.ncf.network import NeuMF, is_mlp_parameter
from tandem.training.gradient_exchange import check_exchange, exchange_of
from tandem.training.torch.flat_parameters import FlatParameters
from tandem.training.torch.sparse_tables import SparseTable

Side = Literal["users", "items"]
SIDES: tuple[Side, ...] = ("users", "items")


class NCFGradients:
    """A model's parameters in one vector, and how their gradients are added up; ``tables``: none but those.

    Both tables of a side, GMF's and the MLP's, are looked up by the same ids, and exchanged in the same way.
    """

    def __init__(self, model: NeuMF, communicator: Communicator, most_ids: Mapping[Side, int]) -> None:
        """most_ids: of a step, on the rank that has most. Raises UserError where they are more than MPI can count."""
        self.communicator = communicator
        self.tables: tuple[SparseTable, ...] = ()
        self.sparse = tuple(side for side in SIDES if self._exchange(model, side, most_ids[side]) == "sparse")
        self.flat = FlatParameters(model, self._group, self._place)
        self._tables = {
            side: [getattr(model, side).gmf.weight, getattr(model, side).mlp.weight] for side in self.sparse
        }
        width = sum(table.numel() for tables in self._tables.values() for table in tables)
        first = sum(tables[0].numel() for tables in self._tables.values())
        self._dense = self.flat.grads[first : first + self.flat.grads.numel() - width]

    def _exchange(self, model: NeuMF, side: Side, ids: int) -> str:
        if self.communicator.size == 1:
            return "dense"
        tables = getattr(model, side)
        rows, width = tables.sizes.num_ids, tables.gmf.embedding_dim + tables.mlp.embedding_dim
        exchange = exchange_of(rows, ids, self.communicator.size)
        check_exchange(exchange, rows, width, ids, self.communicator.size, f"the gradients of NCF's {side}")
        return exchange

    def _group(self, name: str) -> int:
        return int(is_mlp_parameter(name))

    def _place(self, name: str) -> int:
        """Gathered tables stand at both ends of the vector: in between is what one allreduce adds up."""
        if not any(name in (f"{side}.gmf.weight", f"{side}.mlp.weight") for side in self.sparse):
            return 0
        return 1 if is_mlp_parameter(name) else -1

    def add_up(self, batch: Batch | SharedBatch) -> None:
        """Collective: replace this rank's gradients of its batch by the sum over the ranks."""
        if self.communicator.size == 1:
            return
        self.communicator.allreduce_sum_(self._dense)
        for side, tables in self._tables.items():
            ids = torch.unique(looked_up(batch, side)).long()
            own = [_grad(table)[ids] for table in tables]
            packed = torch.cat([ids.int().unsqueeze(1), torch.cat(own, 1).view(torch.int32)], 1)
            gathered = torch.from_numpy(self.communicator.allgather(packed.numpy()))
            for table in tables:
                _grad(table)[ids] = 0.0
            for some_ids, grads in _ascending(gathered):
                parts = torch.split(grads, [table.shape[1] for table in tables], 1)
                for table, part in zip(tables, parts, strict=True):
                    _grad(table)[some_ids] += part


def looked_up(batch: Batch | SharedBatch, side: Side) -> Tensor:
    """Ids of the users or items of a batch, in any number and order."""
    if side == "users":
        return batch.users
    if isinstance(batch, SharedBatch):
        return torch.cat([batch.negatives, batch.positive_items])
    return batch.items


def _grad(table: Any) -> Tensor:
    grad: Tensor = table.grad
    return grad


def _ascending(gathered: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids, gradients) in runs of ascending ids, none of which has an id twice, in the order of the ranks: sums are
    then the same on every rank, to the last bit."""
    ids = gathered[:, 0]
    ends = torch.nonzero(ids[1:] <= ids[:-1]).reshape(-1) + 1
    for part in torch.tensor_split(gathered, ends.tolist()):
        yield part[:, 0].long(), part[:, 1:].contiguous().view(torch.float32)
