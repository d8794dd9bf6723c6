import torch
from torch import nn

from tandem.training.torch.flat_parameters import FlatParameters


def test_one_step_on_the_vector_is_one_step_on_the_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    twin = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    twin.load_state_dict(model.state_dict())
    flat, inputs = FlatParameters(model), torch.randn(8, 3)
    ours, theirs = torch.optim.Adam(flat.groups, lr=0.1, fused=True), torch.optim.Adam(twin.parameters(), lr=0.1)
    for _ in range(3):
        flat.zero_grad()
        model(inputs).square().sum().backward()
        ours.step()
        theirs.zero_grad()
        twin(inputs).square().sum().backward()
        theirs.step()
    for name, weights in twin.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weights)


def test_load_and_copy_reach_the_model():
    model = nn.Linear(2, 1)
    flat = FlatParameters(model)
    saved = flat.copy()
    flat.load(torch.arange(3.0))
    assert model.bias.item() == 0.0  # ordered by name: bias before weight
    assert model.weight.tolist() == [[1.0, 2.0]]
    assert not torch.equal(saved, flat.copy())


def test_groups_lie_one_after_the_other():
    model = nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 3))
    flat = FlatParameters(model, group_of=lambda name: int(name.startswith("0")))
    assert [len(group) for group in flat.groups] == [6, 3]
    flat.groups[1].data.fill_(5.0)
    assert model[0].weight.tolist() == [[5.0, 5.0]]
    assert not (model[1].weight == 5.0).any()
