"""What a training loop is given: rows, a validation, and how to train. No framework is imported."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from pydantic import BaseModel

from tandem.batches.rows import TrainingRows

Metrics = dict[str, float | None]
Phase = Literal["search", "refit", "publish"]
"""search trains on all but the held-out rows and finds the best epoch; refit, where asked for, trains a new model on
all training rows for as many epochs. What these give is evaluated. publish, where asked for, trains a last one on the
test rows too, for as many epochs."""
LOWER_IS_BETTER = frozenset({"loss", "log_loss"})


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, but for the model, which is the framework's.

    name: of its block of parameters ("wnd"), for messages; title: for people.
    rows: this rank's training rows.
    validate: after each epoch, on all ranks, and the same result on all of them; None: no validation.
    conclude: after the search, with its best weights, on all ranks: what is fitted to held-out rows, such as a
        calibration, in JSON's types; the same on all ranks.
    identity: what a run must agree in with the one that it resumes, in JSON's types: parameters, data.
    fingerprint: of this rank's rows, 64 bits; changes with any of them.
    """

    name: str
    title: str
    rows: TrainingRows[Any]
    fingerprint: Callable[[], int]
    validate: Callable[[], Metrics] | None = None
    conclude: Callable[[], dict[str, Any]] = dict
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LoopParameters:
    """How to train. ``stop_metric``: of ``validate``; the best epoch's weights are restored; None: train to the end.

    batch_size: samples of a step on all ranks together. stop_patience: epochs without a better value. stop_smoothing:
    compared is the mean over so many epochs. refit: train anew on all training rows for the best number of epochs.
    rowwise_min_rows: smaller tables are trained as dense weights. checkpoint_seconds: a checkpoint at the end of an
    epoch when the last is so old; 0: every epoch.
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
    stop_smoothing: int = 1
    refit: bool = False
    rowwise_min_rows: int = 16_384
    checkpoint_seconds: float = 30.0
    resume: bool = False

    @classmethod
    def of(cls, parameters: BaseModel) -> Self:
        """Those fields of a model's parameters that have the same names, and ``early_stopping`` (metric, patience,
        smoothing)."""
        known = {item.name for item in fields(cls)} & set(type(parameters).model_fields)
        values: dict[str, Any] = {name: getattr(parameters, name) for name in known}
        stopping = getattr(parameters, "early_stopping", None)
        if stopping is not None:
            values |= {
                "stop_metric": stopping.metric,
                "stop_patience": stopping.patience,
                "stop_smoothing": stopping.smoothing,
            }
        return cls(**values)
