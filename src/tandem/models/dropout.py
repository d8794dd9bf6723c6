"""ReLU and dropout in one step, with cheap random masks.

Drawing a Bernoulli mask float by float costs more than the matrix products of a small MLP. One byte a value is enough:
the share of dropped values is rounded to 1/256, and the kept ones are scaled by exactly that share, so that the
expectation is right.
"""

from typing import Any

import torch
from torch import Tensor


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, noise: Tensor, threshold: int) -> Tensor:
        scale = 256.0 / (256.0 - threshold)
        kept = (noise >= threshold).to(inputs.dtype).mul_(scale)
        outputs = inputs.clamp_min(0).mul_(kept)
        ctx.save_for_backward(outputs, kept)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        outputs, kept = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grads[0] * kept, outputs, 0), None, None


def random_bytes(shape: torch.Size) -> Tensor:
    """Uniform random bytes of this shape, from torch's default generator: eight a draw."""
    count = shape.numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), 2**63 - 1)
    return words.view(torch.uint8)[:count].view(shape)


def dropout(inputs: Tensor, rate: float, *, training: bool) -> Tensor:
    """Dropout at ``rate``, rounded to 1/256; same shape as the inputs."""
    threshold = round(rate * 256)
    if not training or threshold == 0:
        return inputs
    kept = (random_bytes(inputs.shape) >= threshold).to(inputs.dtype)
    return inputs * kept.mul_(256.0 / (256.0 - threshold))


def relu_dropout(inputs: Tensor, rate: float, *, training: bool) -> Tensor:
    """ReLU, then (in training) dropout at ``rate``, rounded to 1/256; same shape as the inputs."""
    threshold = round(rate * 256)
    if not training or threshold == 0:
        return torch.relu(inputs)
    outputs: Tensor = _ReluDropout.apply(inputs, random_bytes(inputs.shape), threshold)  # type: ignore[no-untyped-call]
    return outputs
