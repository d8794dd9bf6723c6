"""ReLU and dropout in one step, with cheap random masks.

Drawing a Bernoulli mask float by float costs more than the matrix products of a small MLP. One byte a value is enough:
the share of dropped values is rounded to 1/256, and the kept ones are scaled by exactly that share, so that the
expectation is right.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

LEVELS = 256


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, mask: Tensor, scale: float) -> Tensor:
        outputs = mask.mul_(inputs).clamp_min_(0)
        ctx.save_for_backward(outputs)
        ctx.scale = scale
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """What is left above 0 was kept, and positive before."""
        (outputs,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(grads[0], outputs, 0).mul_(ctx.scale), None, None


def random_bytes(shape: torch.Size) -> npt.NDArray[np.uint8]:
    """Uniform random bytes of this shape; the seed of the stream is drawn from torch's default generator."""
    count = shape.numel()
    stream = np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_()))
    return stream.random_raw((count + 7) // 8).view(np.uint8)[:count].reshape(shape)


def dropout(inputs: Tensor, rate: float, *, training: bool) -> Tensor:
    """Dropout at ``rate``, rounded to 1/256; same shape as the inputs."""
    dropped = _dropped_levels(rate)
    return inputs * _mask(inputs, dropped) if training and dropped else inputs


def relu_dropout(inputs: Tensor, rate: float, *, training: bool) -> Tensor:
    """ReLU, then (in training) dropout at ``rate``, rounded to 1/256; same shape as the inputs."""
    dropped = _dropped_levels(rate)
    if not training or dropped == 0:
        return torch.relu(inputs)
    outputs: Tensor = _ReluDropout.apply(inputs, _mask(inputs, dropped), _scale(dropped))  # type: ignore[no-untyped-call]
    return outputs


def _dropped_levels(rate: float) -> int:
    """Of the values of a byte, those that drop."""
    return min(round(rate * LEVELS), LEVELS - 1)


def _scale(dropped: int) -> float:
    return LEVELS / (LEVELS - dropped)


def _mask(inputs: Tensor, dropped: int) -> Tensor:
    """The scale where a value is kept, else 0; NumPy draws and compares bytes several times as fast as torch."""
    kept = np.greater_equal(random_bytes(inputs.shape), np.uint8(dropped))
    return torch.from_numpy(kept.view(np.uint8)).to(inputs.dtype).mul_(_scale(dropped))
