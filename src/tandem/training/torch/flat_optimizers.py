"""Adam and Adagrad over a few long vectors, by PyTorch's fused updates.

What the optimizers' classes do around them (hooks, groups, state by parameter) takes longer than the update of a small
model, and the first of them that is made imports PyTorch's compiler, which takes as long as PyTorch itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam

# PyTorch's defaults.
BETA_1, BETA_2 = 0.9, 0.999
EPSILON = {"adam": 1e-8, "adagrad": 1e-10}


class FlatOptimizer(ABC):
    """An optimizer of parameters that all have a gradient at every step."""

    moments: tuple[str, ...]
    """Names of the tensors that are kept of each parameter, of its shape."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        """parameters: float32, each of any shape."""
        self.parameters = list(parameters)
        self._kept = [
            {"step": torch.zeros(())} | {name: torch.zeros_like(parameter) for name in self.moments}
            for parameter in self.parameters
        ]

    @torch.no_grad()
    def step(self, rates: Sequence[float]) -> None:
        """Update every parameter by its gradient; rates: a learning rate for each.

        Raises ValueError where one has no gradient.
        """
        for index, (parameter, rate) in enumerate(zip(self.parameters, rates, strict=True)):
            if parameter.grad is None:
                raise ValueError(f"parameter {index} has no gradient")
            self._update(parameter, parameter.grad, self._kept[index], rate)

    @abstractmethod
    def _update(self, parameter: Tensor, grad: Tensor, kept: dict[str, Tensor], rate: float) -> None: ...

    def state(self) -> dict[str, Tensor]:
        """Steps [] and moments of every parameter, ``step.0`` and so on, for a checkpoint; not copied."""
        return {f"{name}.{index}": value for index, kept in enumerate(self._kept) for name, value in kept.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what ``state`` gave; KeyError where it is of another optimizer."""
        for name, value in self.state().items():
            value.copy_(state[name])


class FlatAdam(FlatOptimizer):
    """``torch.optim.Adam``, or ``AdamW`` where decoupled.

    Adam: Kingma and Ba 2015 (arXiv 1412.6980); decoupled decay: Loshchilov and Hutter 2019 (arXiv 1711.05101).
    """

    moments = ("exp_avg", "exp_avg_sq")

    def __init__(self, parameters: Sequence[Tensor], *, weight_decay: float = 0.0, decoupled: bool = False) -> None:
        super().__init__(parameters)
        self.weight_decay, self.decoupled = weight_decay, decoupled

    def _update(self, parameter: Tensor, grad: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        adam(
            [parameter],
            [grad],
            [kept["exp_avg"]],
            [kept["exp_avg_sq"]],
            [],
            [kept["step"]],
            fused=True,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=BETA_1,
            beta2=BETA_2,
            lr=rate,
            weight_decay=self.weight_decay,
            eps=EPSILON["adam"],
            maximize=False,
        )


class FlatAdagrad(FlatOptimizer):
    """``torch.optim.Adagrad``: Duchi, Hazan and Singer 2011 (JMLR 12)."""

    moments = ("sum",)

    def _update(self, parameter: Tensor, grad: Tensor, kept: dict[str, Tensor], rate: float) -> None:
        adagrad(
            [parameter],
            [grad],
            [kept["sum"]],
            [kept["step"]],
            fused=True,
            lr=rate,
            weight_decay=0.0,
            lr_decay=0.0,
            eps=EPSILON["adagrad"],
            maximize=False,
        )
