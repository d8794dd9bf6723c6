"""How the ranks of a PyTorch training add up their gradients."""

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from tandem.distributed.ranks.communicator import Communicator
from tandem.training.torch.flat_parameters import FlatParameters
from tandem.training.torch.sparse_tables import Kind, SparseTable


class Exchange(Protocol):
    """A model's parameters, in one vector but for sparse tables, and the sum of their gradients over the ranks."""

    @property
    def flat(self) -> FlatParameters:
        """The vector, in one group for each learning rate."""
        ...

    @property
    def tables(self) -> Sequence[SparseTable]:
        """Tables that are not in it, and add up their gradients when they step."""
        ...

    def add_up(self, batch: Any) -> None:
        """Collective: replace this rank's gradients of its batch by the sum over the ranks."""
        ...


class MakeExchange(Protocol):
    """Makes the exchange of a model."""

    def __call__(self, model: nn.Module, communicator: Communicator, most_rows: int, optimizer: Kind) -> Exchange:
        """most_rows: of a step, on the rank that has most."""
        ...


class Allreduced:
    """One allreduce of all gradients but those of ``torch.nn.Embedding(sparse=True)``, which travel row by row."""

    def __init__(self, model: nn.Module, communicator: Communicator, optimizer: Kind) -> None:
        """Parameters that need a gradient are float32, and some of them are not sparse tables."""
        self.communicator = communicator
        sparse = {id(layer.weight) for layer in model.modules() if getattr(layer, "sparse", False)}
        trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        dense = {name for name, parameter in trained.items() if id(parameter) not in sparse}
        self.tables = [SparseTable(one, optimizer) for one in trained.values() if id(one) in sparse]
        self.flat = FlatParameters(model, chosen=dense.__contains__)

    def add_up(self, batch: Any) -> None:
        """All gradients of the vector, whatever the batch."""
        self.communicator.allreduce_sum_(self.flat.grads)


def allreduced(model: nn.Module, communicator: Communicator, most_rows: int, optimizer: Kind) -> Exchange:
    """What serves any model."""
    return Allreduced(model, communicator, optimizer)
