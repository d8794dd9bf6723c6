"""What every training has, whatever the model."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tandem.parameters.closed import Parameters, Rate


class EarlyStoppingParameters(Parameters):
    """Stop when the metric, on rows held out of the training rows, has not improved for ``patience`` epochs."""

    metric: str = Field(description="which the best epoch is chosen by, and its weights restored")
    patience: int = Field(default=3, ge=1, description="epochs without a better value before the end")
    smoothing: int = Field(
        default=1,
        ge=1,
        description="compared is the metric's mean over so many epochs; the first, of which there are fewer, are each "
        "better than the one before",
    )


class TrainingParameters(Parameters):
    """Schedule, held-out rows, early stopping, refit and checkpoints."""

    epochs: int = Field(default=10, ge=1, description="at most, where early stopping is on")
    optimizer: Literal["adam", "adagrad"] = Field(default="adam", description="of all weights")
    learning_rate: float = Field(default=1e-3, gt=0.0, description="at its highest")
    learning_rate_schedule: Literal["constant", "linear", "cosine", "step"] = Field(
        default="constant", description="after the warm-up; linear and cosine end at zero with the last epoch"
    )
    learning_rate_step_factor: float = Field(
        default=0.1, gt=0.0, le=1.0, description="per epoch, for the step schedule"
    )
    warmup_epochs: float = Field(default=0.0, ge=0.0, description="linear from zero; fractions count")
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="of the dense layers; weights stay fp32")
    validation_fraction: Rate = Field(
        default=0.1, description="of the training rows, held out for early stopping; 0: none"
    )
    early_stopping: EarlyStoppingParameters | None = Field(
        default=None, description="null trains all epochs; held-out rows are then only reported on"
    )
    refit: bool = Field(
        default=False, description="train anew on all training rows for the best number of epochs of early stopping"
    )
    memory_limit_mb: float | None = Field(
        default=None,
        gt=0.0,
        description="megabytes for the rows of a rank: more are streamed from Parquet every epoch "
        "(docs/data_per_rank.md); null: all in memory",
    )
    checkpoint_seconds: float = Field(
        default=30.0, ge=0.0, description="a checkpoint at the end of an epoch when the last is so old; 0: every epoch"
    )
    resume: bool = Field(
        default=False, description="continue from the last checkpoint of the same data, settings and ranks"
    )

    @model_validator(mode="after")
    def _held_out_rows(self) -> Self:
        if self.early_stopping is not None and self.validation_fraction == 0.0:
            raise ValueError("early_stopping needs validation_fraction above 0 (or early_stopping: null)")
        if self.refit and self.early_stopping is None:
            raise ValueError("refit needs early_stopping, which finds the number of epochs")
        return self
