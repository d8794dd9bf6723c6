"""Parameters of a click model, the same for each of them."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tandem.parameters.closed import Parameters, Rate
from tandem.parameters.training import EarlyStoppingParameters, TrainingParameters


class ClickModelParameters(Parameters):
    """Columns and sizes, in the words of Wide & Deep (Cheng et al. 2016); a model says what it makes of them."""

    wide_base: tuple[str, ...] = Field(
        default=("author_is_verified", "user_is_verified"),
        description="id columns with one weight per id in the linear part",
    )
    wide_cross: tuple[str, ...] = Field(
        default=("present_media_x_language",), description="crossed columns with one weight per id in the linear part"
    )
    indicators: tuple[str, ...] = Field(
        default=(
            "present_media",
            "tweet_type",
            "language",
            "user_followers_bin",
            "user_following_bin",
            "author_followers_bin",
            "author_following_bin",
        ),
        description="columns of few ids, one-hot in the deep part",
    )
    embeddings: tuple[str, ...] = Field(
        default=("author", "hashtags", "domains"), description="id columns embedded in the deep part"
    )
    embedding_dim: int = Field(default=8, ge=1, description="width of each embedding")
    continuous: tuple[str, ...] = Field(
        default=("num_hashtags", "num_domains", "num_links"), description="number columns of the deep part"
    )
    hidden_units: tuple[int, ...] = Field(
        default=(1024, 1024), description="widths of the deep part's layers, each with batch norm, ReLU and dropout"
    )
    dropout: Rate = Field(default=0.1, description="behind every hidden layer, rounded to 1/256")

    @property
    def wide(self) -> tuple[str, ...]:
        """Columns of the linear part."""
        return tuple(dict.fromkeys((*self.wide_base, *self.wide_cross)))

    @property
    def id_columns(self) -> tuple[str, ...]:
        """All columns of ids, each once."""
        return tuple(dict.fromkeys((*self.wide, *self.embeddings, *self.indicators)))

    @property
    def has_deep(self) -> bool:
        """Whether there is a deep part."""
        return bool(self.embeddings or self.indicators or self.continuous)

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> "ClickModelParameters":
        if not self.id_columns:
            raise ValueError("name at least one id column: in wide_base, wide_cross, indicators or embeddings")
        if min(self.hidden_units, default=1) < 1:
            raise ValueError("hidden_units must all be at least 1")
        return self


class ClickEarlyStopping(EarlyStoppingParameters):
    """Stop when the metric, on rows held out of the training rows, has not improved for ``patience`` epochs."""

    metric: Literal["auc", "average_precision", "log_loss"] = Field(
        default="auc", description="which the best epoch is chosen by, and its weights restored"
    )


class ClickBaselineParameters(Parameters):
    """Which classical models are reported beside it (and the constant), on the same rows and columns."""

    models: tuple[Literal["logistic_regression", "boosted_trees"], ...] = Field(
        default=("logistic_regression", "boosted_trees"), description="in the order of the report"
    )
    trees: int = Field(
        default=200, ge=1, description="of the boosted trees, at most: a tenth of the training rows stops them"
    )
    tree_leaves: int = Field(default=31, ge=2, description="of each tree")
    tree_learning_rate: float = Field(default=0.1, gt=0.0, description="of the boosted trees")


class ClickParameters(TrainingParameters):
    """A click model: model, training and baselines."""

    # Model.
    model: ClickModelParameters = Field(default=ClickModelParameters(), description="columns and sizes")
    builder: str | None = Field(
        default=None,
        description="a model of your own: dotted path of a function that builds it (docs/custom_models.md)",
    )
    builder_options: dict[str, Any] = Field(default={}, description="keyword arguments for the builder")
    framework: Literal["tensorflow", "torch"] = Field(
        default="tensorflow", description="of the builder's model: Keras on TensorFlow, or PyTorch"
    )

    # Training.
    batch_size: int = Field(default=3_200, ge=1, description="rows of one step on all ranks together")
    optimizer: Literal["adam", "adagrad"] = Field(default="adam", description="of all weights, the linear part's too")
    learning_rate: float = Field(default=1e-4, gt=0.0, description="at its highest")
    batch_norm: Literal["per_rank", "synchronised"] = Field(
        default="per_rank",
        description="statistics of a training batch: of each rank's own part, or of the global batch (two more "
        "collectives a layer and step)",
    )
    unknown_rate: Rate = Field(default=0.0, description="share of the embedded and wide ids trained as unknown")
    rowwise_min_rows: int = Field(
        default=16_384, ge=1, description="tables of at least so many rows are updated in the rows of the batch alone"
    )
    early_stopping: ClickEarlyStopping | None = Field(
        default=ClickEarlyStopping(),
        description="null trains all epochs; held-out rows are then only reported on",
    )

    # Report.
    baselines: ClickBaselineParameters = ClickBaselineParameters()

    @model_validator(mode="after")
    def _consistent(self) -> "ClickParameters":
        if self.builder is None and self.builder_options:
            raise ValueError("builder_options need a builder")
        if self.builder is None and self.framework == "torch":
            raise ValueError("framework: torch needs a builder (without one, a model has its own framework)")
        return self
