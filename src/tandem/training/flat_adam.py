"""Adam over a few long vectors, by PyTorch's fused update."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # PyTorch's defaults


class FlatAdam:
    """``torch.optim.Adam``, or ``AdamW`` where decoupled, of parameters that always have a gradient.

    What the optimizer's class does around its update (hooks, groups, state by parameter) takes longer than the update
    of a small model. Adam: Kingma and Ba 2015 (arXiv 1412.6980); decoupled decay: Loshchilov and Hutter 2019
    (arXiv 1711.05101).
    """

    def __init__(self, parameters: Sequence[Tensor], *, weight_decay: float, decoupled: bool) -> None:
        self.parameters = list(parameters)
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.steps = [torch.zeros(()) for _ in self.parameters]
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> None:
        """Update every parameter by its gradient, at its learning rate."""
        for index, (parameter, rate) in enumerate(zip(self.parameters, rates, strict=True)):
            if parameter.grad is None:
                raise ValueError(f"parameter {index} has no gradient")
            adam(
                [parameter],
                [parameter.grad],
                [self.first[index]],
                [self.second[index]],
                [],
                [self.steps[index]],
                fused=True,
                decoupled_weight_decay=self.decoupled,
                amsgrad=False,
                beta1=BETA_1,
                beta2=BETA_2,
                lr=rate,
                weight_decay=self.weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """Steps and moments of every parameter, by name, for a checkpoint."""
        kinds = {"step": self.steps, "exp_avg": self.first, "exp_avg_sq": self.second}
        return {f"{kind}.{index}": value for kind, values in kinds.items() for index, value in enumerate(values)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what ``state`` gave."""
        for name, value in self.state().items():
            value.copy_(state[name])
