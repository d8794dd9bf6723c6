"""Where a training of NCF stands."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from torch import Tensor

from tandem.models.ncf import Calibration
from tandem.training.history import Record

Phase = Literal["search", "refit"]


@dataclass
class TrainingState:
    """What a checkpoint must hold beside the weights and the optimizer's moments.

    search trains on all but the held-out rows and finds the best epoch; refit, where asked for, trains a new model on
    all rows for as many epochs.
    """

    phase: Phase = "search"
    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    history: list[Record] = field(default_factory=list)
    calibration: Calibration = field(default_factory=Calibration)
    best_weights: Tensor | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the tensor."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "best_weights"}
        return values | {"calibration": self.calibration.model_dump()}

    @classmethod
    def from_json(cls, values: dict[str, Any], best_weights: Tensor | None) -> "TrainingState":
        """The inverse of ``to_json``."""
        calibration = Calibration.model_validate(values["calibration"])
        return cls(**(values | {"calibration": calibration}), best_weights=best_weights)
