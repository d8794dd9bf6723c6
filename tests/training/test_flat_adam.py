import pytest
import torch

from tandem.training.flat_adam import FlatAdam


def vectors() -> list[torch.nn.Parameter]:
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(size)) for size in (40, 7)]


def set_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    for index, parameter in enumerate(parameters):
        torch.manual_seed(100 * index + step)
        parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("decoupled", [False, True])
def test_the_steps_are_those_of_the_optimizer_of_torch(decoupled: bool) -> None:
    ours, theirs = vectors(), vectors()
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    reference = kind(
        [{"params": [one], "lr": rate} for one, rate in zip(theirs, (0.1, 0.02), strict=True)], weight_decay=0.03
    )
    optimizer = FlatAdam(ours, weight_decay=0.03, decoupled=decoupled)
    for step in range(5):
        for parameters in (ours, theirs):
            set_gradients(parameters, step)
        optimizer.step([0.1, 0.02])
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_a_loaded_state_goes_on_as_the_first_would_have() -> None:
    ours, resumed = vectors(), vectors()
    first, second = (FlatAdam(parameters, weight_decay=0.0, decoupled=False) for parameters in (ours, resumed))
    for step in range(3):
        set_gradients(ours, step)
        first.step([0.1, 0.1])
    for parameter, trained in zip(resumed, ours, strict=True):
        parameter.data.copy_(trained.data)
    second.load({name: value.clone() for name, value in first.state().items()})
    for parameters, optimizer in ((ours, first), (resumed, second)):
        set_gradients(parameters, 3)
        optimizer.step([0.1, 0.1])
    assert all(torch.equal(one, other) for one, other in zip(ours, resumed, strict=True))
    assert optimizer.state()["step.0"] == 4


def test_a_missing_gradient_is_told() -> None:
    with pytest.raises(ValueError, match="parameter 0 has no gradient"):
        FlatAdam(vectors(), weight_decay=0.0, decoupled=False).step([0.1, 0.1])
