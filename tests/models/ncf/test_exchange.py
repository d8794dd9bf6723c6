"""The exchange of NCF's gradients between two ranks that have the same batch."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.ncf import exchange as ncf_gradients
from tandem.models.ncf.exchange import NCFGradients, looked_up
from tandem.models.ncf.loss import summed_loss
from tandem.models.ncf.negatives import Batch, SharedBatch
from tandem.models.ncf.network import NeuMF, NeuMFConfig, SideSizes
from tandem.parameters import NCFParameters
from tandem.parameters.ncf import NeuMFParameters

USERS, ITEMS = 50, 30
BATCH = Batch(torch.tensor([3, 7, 3, 0]), torch.tensor([5, 5, 9, 29]), torch.tensor([1.0, 0.0, 1.0, 0.0]))


class Twins(SingleRank):
    """Two ranks with equal gradients; counts the values that went either way."""

    size = 2

    def __init__(self) -> None:
        self.summed: list[int] = []
        self.gathered: list[int] = []

    def allreduce_sum_(self, tensor: Tensor) -> Tensor:
        self.summed.append(tensor.numel())
        return tensor.mul_(2.0)

    def allgather(self, array: Any) -> Any:
        self.gathered.append(len(array))
        return np.concatenate([array, array])


def exchanged(sides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Tensor], Twins, NCFGradients]:
    """Gradients by name of parameter, where the tables of these sides are gathered."""
    torch.manual_seed(0)
    config = NeuMFConfig(
        parameters=NeuMFParameters(gmf_dim=3, mlp_dim=5, hidden_units=(4, 2)),
        users=SideSizes(num_ids=USERS),
        items=SideSizes(num_ids=ITEMS),
    )
    model, twins = NeuMF(config).eval(), Twins()
    gathered = {"users": USERS, "items": ITEMS}
    rows = [gathered[side] for side in sides]
    monkeypatch.setattr(ncf_gradients, "exchange_of", lambda size, *_: "sparse" if size in rows else "dense")
    gradients = NCFGradients(model, twins, {"users": 4, "items": 4})
    gradients.flat.zero_grad()
    summed_loss(model, BATCH, NCFParameters(embedding_l2=0.1)).backward()
    gradients.add_up(BATCH)
    return {name: one.grad.clone() for name, one in model.named_parameters()}, twins, gradients


@pytest.mark.parametrize("sides", [("users",), ("items",), ("users", "items")])
def test_gathered_rows_add_up_to_what_the_whole_tables_do(
    sides: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    dense, all_summed, _ = exchanged((), monkeypatch)
    sparse, twins, gradients = exchanged(sides, monkeypatch)
    assert dense.keys() == sparse.keys()
    for name, grad in dense.items():
        assert torch.equal(grad, sparse[name]), name
        assert grad.abs().max() > 0, name
    assert gradients.sparse == sides
    assert twins.gathered == [3] * len(sides), "each id once"
    tables = sum({"users": USERS, "items": ITEMS}[side] * 8 for side in sides)
    assert twins.summed == [all_summed.summed[0] - tables]


def test_the_optimizers_groups_hold_all_values_whatever_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    (_, _, dense), (_, _, sparse) = exchanged((), monkeypatch), exchanged(("users", "items"), monkeypatch)
    assert [group.numel() for group in dense.flat.groups] == [group.numel() for group in sparse.flat.groups]


def test_one_rank_exchanges_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Twins, "size", 1)
    _, twins, gradients = exchanged(("users", "items"), monkeypatch)
    assert (gradients.sparse, twins.summed, twins.gathered) == ((), [], [])


def test_what_a_step_of_whole_users_looks_up() -> None:
    batch = SharedBatch(
        torch.tensor([4, 2]), torch.tensor([0, 0, 1]), torch.tensor([7, 8, 9]), torch.tensor([1, 2]), torch.zeros(2, 2)
    )
    assert looked_up(batch, "users").tolist() == [4, 2]
    assert sorted(looked_up(batch, "items").tolist()) == [1, 2, 7, 8, 9]
