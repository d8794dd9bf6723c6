import numpy as np
import pytest
import torch

from tandem.models.ncf.loss import summed_loss
from tandem.models.ncf.negatives import Batch, SharedBatch
from tandem.models.ncf.network import NeuMF, NeuMFConfig, SideSizes
from tandem.parameters import NCFParameters, NeuMFParameters

MODEL = NeuMFParameters(gmf_dim=3, mlp_dim=4, hidden_units=(5, 2), dropout=0.0)
# Users 2 and 1, user 2 twice; item 3 is a positive and a negative.
STORED = Batch(torch.tensor([2, 1, 2]), torch.tensor([3, 3, 5]), torch.tensor([1.0, 0.0, 0.0]))
FRESH = Batch(torch.tensor([2, 1, 2]), torch.tensor([[3, 5], [3, 6], [4, 3]]), torch.tensor([1.0, 0.0]).expand(3, 2))
SHARED = SharedBatch(
    users=torch.tensor([2, 1]),
    positive_rows=torch.tensor([0, 0, 1]),
    positive_items=torch.tensor([3, 4, 3]),
    negatives=torch.tensor([5, 3, 5]),
    weights=torch.tensor([[1.5, 0.0, 2.5], [0.5, 1.5, 0.0]]),
)
# (user, item, weight of the pair) of each batch, by hand.
PAIRS = {
    "stored": (STORED, [(2, 3, 1), (1, 3, 1), (2, 5, 1)]),
    "fresh": (FRESH, [(2, 3, 1), (2, 5, 1), (1, 3, 1), (1, 6, 1), (2, 4, 1), (2, 3, 1)]),
    "shared": (
        SHARED,
        [(2, 3, 1), (2, 4, 1), (1, 3, 1), (2, 5, 1.5), (2, 5, 2.5), (1, 5, 0.5), (1, 3, 1.5)],
    ),
}


def neumf() -> NeuMF:
    torch.manual_seed(0)
    config = NeuMFConfig(parameters=MODEL, users=SideSizes(num_ids=4), items=SideSizes(num_ids=7))
    model = NeuMF(config)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    return model


def loss(model: NeuMF, kind: str, embedding_l2: float) -> torch.Tensor:
    parameters = NCFParameters(negatives=kind, fresh_negatives=1, embedding_l2=embedding_l2, model=MODEL)
    return summed_loss(model, PAIRS[kind][0], parameters)


@pytest.mark.parametrize("kind", PAIRS)
def test_every_pair_pays_for_the_gmf_embeddings_of_its_user_and_item(kind):
    model = neumf()
    users, items = (side.gmf.weight.detach().numpy() for side in (model.users, model.items))
    squares = sum(w * (np.square(users[u]).sum() + np.square(items[i]).sum()) for u, i, w in PAIRS[kind][1])
    added = loss(model, kind, 0.25) - loss(model, kind, 0.0)
    assert added.item() == pytest.approx(0.25 * squares, rel=1e-4)


@pytest.mark.parametrize("kind", PAIRS)
def test_binary_cross_entropy_weighs_every_pair(kind):
    model = neumf()
    positives = {"stored": {(2, 3)}, "fresh": {(2, 3), (1, 3), (2, 4)}, "shared": {(2, 3), (2, 4), (1, 3)}}[kind]
    expected, left = 0.0, set(positives)
    for user, item, weight in PAIRS[kind][1]:
        probability = torch.sigmoid(model(torch.tensor([user]), torch.tensor([item]))).item()
        is_positive = (user, item) in left
        left.discard((user, item))
        expected -= weight * np.log(probability if is_positive else 1.0 - probability)
    assert loss(model, kind, 0.0).item() == pytest.approx(expected, rel=1e-4)


def test_the_penalty_reaches_the_embeddings_of_sampled_ids_alone():
    model = neumf()
    (loss(model, "fresh", 1.0) - loss(model, "fresh", 0.0)).backward()
    grads = model.items.gmf.weight.grad
    assert grads[[1, 2]].abs().max() < 1e-5
    torch.testing.assert_close(grads[5], 2.0 * model.items.gmf.weight.detach()[5])  # drawn once, as a negative
