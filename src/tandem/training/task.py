"""What a training loop is given: rows, a validation, and how to train. No framework is imported."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from pydantic import BaseModel

from tandem.batches.columns import TrainingRows
from tandem.training.history import Record

Metrics = dict[str, float | None]
LOWER_IS_BETTER = frozenset({"loss", "log_loss"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, but for the model, which is the framework's.

    name: of its block of parameters ("wnd"), for messages; title: for people.
    rows: this rank's training rows.
    validate: after each epoch, on all ranks, and the same result on all of them; None: no validation.
    identity: what a run must agree in with the one that it resumes, in JSON's types: parameters, data.
    forgotten: id columns, of whose ids a share of ``forgotten_rate`` is trained as 0, the unknown.
    """

    name: str
    title: str
    rows: TrainingRows
    validate: Callable[[], Metrics] | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    forgotten_rate: float = 0.0


@dataclass(frozen=True)
class LoopParameters:
    """How to train. ``stop_metric``: of ``validate``; the best epoch's weights are restored; None: train to the end.

    stop_patience: epochs without a better value. rowwise_min_rows: smaller tables are trained as dense weights.
    checkpoint_seconds: a checkpoint at the end of an epoch when the last is so old; 0: every epoch.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "adagrad"] = "adam"
    learning_rate_schedule: Literal["constant", "linear", "cosine", "step"] = "constant"
    learning_rate_step_factor: float = 0.1
    warmup_epochs: float = 0.0
    stop_metric: str | None = None
    stop_patience: int = 1
    rowwise_min_rows: int = 16_384
    checkpoint_seconds: float = 30.0
    resume: bool = False

    @classmethod
    def of(cls, parameters: BaseModel) -> Self:
        """Those fields of a model's parameters that have the same names, and ``early_stopping`` (metric, patience)."""
        known = {item.name for item in fields(cls)} & set(type(parameters).model_fields)
        values: dict[str, Any] = {name: getattr(parameters, name) for name in known}
        stopping = getattr(parameters, "early_stopping", None)
        if stopping is not None:
            values |= {"stop_metric": stopping.metric, "stop_patience": stopping.patience}
        return cls(**values)


@dataclass
class TrainingState:
    """What a checkpoint must hold beside weights and moments; ``epoch``: epochs done."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    history: list[Record] = field(default_factory=list)

    def improves(self, value: float) -> bool:
        """Note the value of the epoch just done (higher is better); whether it is the best so far."""
        if self.best_value is not None and value <= self.best_value:
            return False
        self.best_value, self.best_epoch = value, self.epoch
        return True
