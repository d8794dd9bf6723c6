"""The learning rate as a function of training time."""

import math
from typing import Literal, Protocol


class Schedule(Protocol):
    """The parameters of a schedule, which those of every model have."""

    @property
    def epochs(self) -> int:
        """Of the whole training."""

    @property
    def learning_rate(self) -> float:
        """The highest."""

    @property
    def learning_rate_schedule(self) -> Literal["constant", "linear", "cosine", "step"]:
        """What follows the warm-up."""

    @property
    def learning_rate_step_factor(self) -> float:
        """Per epoch, of the step schedule."""

    @property
    def warmup_epochs(self) -> float:
        """Linear from zero; fractions count."""


def learning_rate(parameters: Schedule, epoch: float, epochs: int | None = None) -> float:
    """Learning rate of the step that ends at this moment, in epochs since the start (fractions count).

    epochs: until the end of training.

    Linear warm-up from zero over ``warmup_epochs``; then constant; linear or cosine to zero at the last epoch; or
    multiplied by ``learning_rate_step_factor`` after every whole epoch, whose last step still has its own rate.
    """
    peak, warmup = parameters.learning_rate, parameters.warmup_epochs
    if epoch < warmup:
        return peak * epoch / warmup
    done = min(1.0, (epoch - warmup) / max(1e-9, (epochs or parameters.epochs) - warmup))
    match parameters.learning_rate_schedule:
        case "linear":
            return peak * (1.0 - done)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * done))
        case "step":
            return peak * parameters.learning_rate_step_factor ** max(0, math.ceil(epoch) - 1)
        case "constant":
            return peak
