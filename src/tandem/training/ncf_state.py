"""Where a training of NCF stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from torch import Tensor

from tandem.models.ncf import Calibration
from tandem.training.history import Record

Phase = Literal["search", "refit", "publish"]
TENSORS = ("best_weights", "evaluated_weights")


@dataclass
class TrainingState:
    """What a checkpoint must hold beside the weights and the optimizer's moments.

    search trains on all but the held-out rows and finds the best epoch; refit, where asked for, trains a new model on
    all training rows for as many epochs. What these give is evaluated. publish, where asked for, trains a last one on
    the test rows too, for as many epochs; evaluated_weights is then what was found before.
    """

    phase: Phase = "search"
    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    history: list[Record] = field(default_factory=list)
    calibration: Calibration = field(default_factory=Calibration)
    best_weights: Tensor | None = None
    evaluated_weights: Tensor | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensors."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in TENSORS}
        return values | {"calibration": self.calibration.model_dump()}

    def tensors(self) -> dict[str, Tensor]:
        """Those that there are."""
        found = {name: getattr(self, name) for name in TENSORS}
        return {name: tensor for name, tensor in found.items() if tensor is not None}

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: Mapping[str, Tensor]) -> "TrainingState":
        """The inverse of ``to_json``; tensors: those of ``tensors``, and perhaps others."""
        calibration = Calibration.model_validate(values["calibration"])
        found: dict[str, Any] = {name: tensors[name] for name in TENSORS if name in tensors}
        return cls(**(values | found | {"calibration": calibration}))
