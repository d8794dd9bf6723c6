"""All parameters of a model in one vector, and their gradients in another.

One allreduce and one optimizer step then serve the whole model, whatever its number of tensors.
"""

import torch
from torch import Tensor, nn


class FlatParameters:
    """Moves a model's parameters, ordered by name, into one float32 vector; the model's tensors become views of it.

    ``vector`` is a parameter of shape [number of values]; ``vector.grad`` collects all gradients.
    """

    def __init__(self, model: nn.Module) -> None:
        named = sorted(model.named_parameters(), key=lambda pair: pair[0])
        parameters = [parameter for _, parameter in named]
        values = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        grads = torch.zeros_like(values)
        position = 0
        for parameter in parameters:
            part = slice(position, position + parameter.numel())
            parameter.data = values[part].view_as(parameter)
            parameter.grad = grads[part].view_as(parameter)
            position += parameter.numel()
        self.vector = nn.Parameter(values)
        self.vector.grad = grads
        self.grads = grads

    def zero_grad(self) -> None:
        """Gradients to zero, in place: the model's tensors go on sharing them."""
        self.grads.zero_()

    def load(self, values: Tensor) -> None:
        """Take these values [number of values]."""
        with torch.no_grad():
            self.vector.copy_(values)

    def copy(self) -> Tensor:
        """The values at this moment."""
        return self.vector.detach().clone()
