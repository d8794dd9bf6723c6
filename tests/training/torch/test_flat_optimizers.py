"""The updates of long vectors are those of PyTorch, without what its classes cost."""

import subprocess
import sys

import pytest
import torch

from tandem.training.torch.flat_optimizers import FlatAdagrad, FlatAdam, FlatOptimizer


def vectors() -> list[torch.nn.Parameter]:
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(size)) for size in (40, 7)]


def set_gradients(parameters: list[torch.nn.Parameter], step: int) -> None:
    for index, parameter in enumerate(parameters):
        torch.manual_seed(100 * index + step)
        parameter.grad = torch.randn_like(parameter)


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "Adagrad"])
def test_the_steps_are_those_of_the_optimizer_of_torch(kind: str) -> None:
    ours, theirs = vectors(), vectors()
    decay = {"weight_decay": 0.0 if kind == "Adagrad" else 0.03}
    groups = [{"params": [one], "lr": rate} for one, rate in zip(theirs, (0.1, 0.02), strict=True)]
    reference = getattr(torch.optim, kind)(groups, **decay)
    optimizer = FlatAdagrad(ours) if kind == "Adagrad" else FlatAdam(ours, decoupled=kind == "AdamW", **decay)
    for step in range(5):
        for parameters in (ours, theirs):
            set_gradients(parameters, step)
        optimizer.step([0.1, 0.02])
        reference.step()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("kind", [FlatAdam, FlatAdagrad])
def test_a_loaded_state_goes_on_as_the_first_would_have(kind: type[FlatOptimizer]) -> None:
    ours, resumed = vectors(), vectors()
    first, second = (kind(parameters) for parameters in (ours, resumed))
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
        FlatAdam(vectors()).step([0.1, 0.1])


def test_no_step_loads_the_compiler_of_torch() -> None:
    program = (
        "import sys, torch\n"
        "from tandem.training.torch.flat_optimizers import FlatAdagrad, FlatAdam\n"
        "parameter = torch.nn.Parameter(torch.ones(3))\n"
        "parameter.grad = torch.ones(3)\n"
        "for kind in (FlatAdam, FlatAdagrad):\n"
        "    kind([parameter]).step([0.1])\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert ran.stdout == "False\n"
