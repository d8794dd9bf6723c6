"""Where a training stands: what a checkpoint holds beside the weights and the optimizer's moments."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.training.history import Record
from tandem.training.task import Phase

Values = list[npt.NDArray[Any]]
"""All weights of a model, in the order of its trainer."""

WEIGHTS = ("best_weights", "evaluated_weights")


@dataclass
class TrainingState:
    """Of one rank, and the same on all of them.

    epoch: epochs done in this phase. best_epoch, best_value: of the search, higher is better; best_weights: those of
    that epoch. history: a record per epoch of all phases. found: what was fitted after the search.
    evaluated_weights: of the model that is evaluated, once another one is trained to be published.
    """

    phase: Phase = "search"
    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    history: list[Record] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    best_weights: Values | None = None
    evaluated_weights: Values | None = None

    def begin(self, phase: Phase) -> None:
        """A new model."""
        self.phase, self.epoch, self.best_weights = phase, 0, None

    def compare(self, value: float | None) -> bool:
        """Note the value of the epoch just done (higher is better); whether it is the best so far.

        None: there are too few epochs to compare, and each is better than the one before.
        """
        if value is not None and self.best_value is not None and value <= self.best_value:
            return False
        self.best_value, self.best_epoch = value, self.epoch
        return True

    def to_json(self) -> dict[str, Any]:
        """Everything but the weights."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in WEIGHTS}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """The weights that there are, as ``best_weights.0`` and so on."""
        found = {name: getattr(self, name) for name in WEIGHTS}
        return {f"{name}.{index}": one for name, values in found.items() for index, one in enumerate(values or ())}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> "TrainingState":
        """The inverse of ``to_json``; tensors: those of ``tensors``, and perhaps others."""
        found: dict[str, Any] = {name: values_of(tensors, name) or None for name in WEIGHTS}
        return cls(**values, **found)


def values_of(tensors: Mapping[str, npt.NDArray[Any]], prefix: str) -> Values:
    """``prefix.0``, ``prefix.1`` and so on, as many as there are."""
    count = sum(name.startswith(f"{prefix}.") for name in tensors)
    return [np.asarray(tensors[f"{prefix}.{index}"]) for index in range(count)]
