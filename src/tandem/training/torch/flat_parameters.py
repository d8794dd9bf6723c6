"""All parameters of a model in one vector, and their gradients in another.

One allreduce and one or two optimizer updates then serve the whole model, whatever its number of tensors.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a model's parameters into one float32 vector; the model's tensors become views of it.

    ``values`` and ``grads`` are the vectors, [number of values]. ``groups`` are parameters that share their memory, one
    for each group of the model's parameters, for the optimizer.
    """

    def __init__(
        self,
        model: nn.Module,
        group_of: Callable[[str], int] = lambda name: 0,
        place_of: Callable[[str], int] = lambda name: 0,
        chosen: Callable[[str], bool] = lambda name: True,
    ) -> None:
        """Lay out by group, place and name; group_of, place_of: name of a parameter to its group, from 0, and to its
        place in it. chosen: whether a parameter is moved at all; the others stay as they are."""
        some = (pair for pair in model.named_parameters() if chosen(pair[0]))
        named = sorted(some, key=lambda pair: (group_of(pair[0]), place_of(pair[0]), pair[0]))
        self.values = torch.cat([parameter.detach().reshape(-1) for _, parameter in named])
        self.grads = torch.zeros_like(self.values)
        sizes: dict[int, int] = {}
        position = 0
        for name, parameter in named:
            part = slice(position, position + parameter.numel())
            parameter.data = self.values[part].view_as(parameter)
            parameter.grad = self.grads[part].view_as(parameter)
            sizes[group_of(name)] = sizes.get(group_of(name), 0) + parameter.numel()
            position = part.stop
        self.groups = self._share(list(sizes.values()))

    def _share(self, sizes: list[int]) -> list[nn.Parameter]:
        groups = [nn.Parameter(values) for values in torch.split(self.values, sizes)]
        for group, grads in zip(groups, torch.split(self.grads, sizes), strict=True):
            group.grad = grads
        return groups

    def zero_grad(self) -> None:
        """Gradients to zero, in place: the model's tensors go on sharing them."""
        self.grads.zero_()

    def load(self, values: Tensor) -> None:
        """Take these values [number of values]."""
        self.values.copy_(values)

    def copy(self) -> Tensor:
        """The values at this moment."""
        return self.values.clone()
