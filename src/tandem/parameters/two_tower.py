"""Parameters of the two-tower model, its index and its lists."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tandem.parameters.closed import Parameters, Rate
from tandem.parameters.training import EarlyStoppingParameters, TrainingParameters


class TowerParameters(Parameters):
    """Which columns of the processed rows one tower reads, and how."""

    embeddings: tuple[str, ...] = Field(
        default=(), description="id columns, each with a table of `embedding_dim` numbers per id"
    )
    indicators: tuple[str, ...] = Field(default=(), description="id columns of few values, one-hot")
    continuous: tuple[str, ...] = Field(default=(), description="numbers, as they are")

    @model_validator(mode="after")
    def _some_columns(self) -> "TowerParameters":
        columns = self.columns
        if not columns:
            raise ValueError("a tower needs at least one column")
        if len(set(columns)) < len(columns):
            raise ValueError("a tower names a column twice")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the tower, ids first."""
        return (*self.embeddings, *self.indicators, *self.continuous)

    @property
    def ids(self) -> tuple[str, ...]:
        """The columns that hold ids."""
        return (*self.embeddings, *self.indicators)


USER_COLUMNS = TowerParameters(
    embeddings=("user",),
    indicators=("user_is_verified",),
    continuous=("user_followers", "user_following", "user_ratio"),
)
ITEM_COLUMNS = TowerParameters(
    embeddings=("tweet", "author", "hashtags", "links", "domains"),
    indicators=("author_is_verified", "present_media", "tweet_type", "language"),
    continuous=("num_hashtags", "num_links", "num_domains", "author_followers", "author_following", "author_ratio"),
)


class TwoTowerModelParameters(Parameters):
    """Sizes of the two towers, which are alike but for the columns that they read."""

    user: TowerParameters = USER_COLUMNS
    item: TowerParameters = ITEM_COLUMNS
    embedding_dim: int = Field(default=16, ge=1, description="width of each embedding")
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(1024, 512), description="widths, each with ReLU"
    )
    output_dim: int = Field(default=128, ge=1, description="width of the vectors")
    output_activation: Literal["linear", "relu"] = Field(default="linear", description="of the last layer")
    normalize: bool = Field(default=True, description="vectors of length 1, so that their product is the cosine")


class SoftmaxParameters(Parameters):
    """In-batch softmax: each positive against the items of the global batch."""

    temperature: float = Field(default=0.05, gt=0.0, description="the products of the vectors are divided by it")
    correct_sampling: bool = Field(
        default=True, description="subtract the log of each item's probability of being in a batch (Yi et al. 2019)"
    )
    remove_accidental_hits: bool = Field(
        default=True, description="leave out the batch's other items that the same user took"
    )


class PointwiseParameters(Parameters):
    """Binary cross entropy of ``scale * product + bias``, both learnt."""

    initial_scale: float = Field(default=5.0, gt=0.0, description="to start from; stays above 0")
    initial_bias: float = Field(default=0.0, description="to start from")


class TwoTowerEarlyStoppingParameters(EarlyStoppingParameters):
    """Stop when the metric, on rows held out of the training rows, has not improved for ``patience`` epochs."""

    metric: Literal["recall@100", "ndcg@100", "auc"] = Field(
        default="recall@100", description="which the best epoch is chosen by, and its weights restored"
    )
    patience: int = Field(default=2, ge=1, description="epochs without a better value before the end")


class IndexParameters(Parameters):
    """The index over the item vectors: exact, or one of two that trade recall for speed."""

    kind: Literal["flat", "hnsw", "ivf"] = Field(default="flat", description="exact, a graph of neighbours, or cells")
    hnsw_links: int = Field(default=32, ge=2, description="per node of the graph")
    hnsw_construction: int = Field(default=100, ge=1, description="width of the search while building")
    hnsw_search: int = Field(default=128, ge=1, description="width of the search while asking")
    ivf_lists: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto", description="cells of the space; auto: the square root of the number of items"
    )
    ivf_probes: int = Field(default=16, ge=1, description="cells that a query looks into")


class RecommendationParameters(Parameters):
    """The published lists: candidates by the index, ranked by Wide & Deep."""

    users: Literal["all"] | Annotated[int, Field(ge=1)] | tuple[str, ...] = Field(
        default="all", description="all, a number of them drawn by the seed, or a list of raw user ids"
    )
    candidates: int = Field(default=100, ge=1, description="per user, by the index")
    length: int = Field(default=10, ge=1, description="of the published lists")

    @model_validator(mode="after")
    def _no_longer_than_candidates(self) -> "RecommendationParameters":
        if self.length > self.candidates:
            raise ValueError(f"length of {self.length} needs at least as many candidates, found {self.candidates}")
        return self


class TwoTowerParameters(TrainingParameters):
    """Two towers: model, training, index and lists."""

    # Model.
    model: TwoTowerModelParameters = TwoTowerModelParameters()
    builder: str | None = Field(
        default=None, description="dotted path of a function that builds towers of your own on the same columns"
    )
    builder_options: dict[str, Any] = Field(default={}, description="keyword arguments for the builder")

    # Training.
    loss: Literal["softmax", "pointwise"] = Field(
        default="softmax", description="in-batch softmax on positives, or binary cross entropy on all rows"
    )
    softmax: SoftmaxParameters = SoftmaxParameters()
    pointwise: PointwiseParameters = PointwiseParameters()
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        default="auto",
        description="rows of one step on all ranks together; auto: the largest power of two up to 4,096 that leaves an "
        "epoch 100 steps, and at least 64",
    )
    rowwise_min_rows: int = Field(
        default=16_384, ge=1, description="tables of at least so many rows are updated in the rows of the batch alone"
    )
    unknown_rate: Rate = Field(default=0.01, description="share of the ids that are trained as unknown")
    validation_users: int = Field(
        default=2_000, ge=1, description="at most so many users are ranked for between epochs"
    )
    validation_items: int = Field(
        default=20_000, ge=1, description="among at most so many items, beside those they took"
    )
    early_stopping: TwoTowerEarlyStoppingParameters | None = Field(
        default=TwoTowerEarlyStoppingParameters(),
        description="null trains all epochs; held-out rows are then only reported on",
    )

    # Retrieval and report.
    evaluated_users: int = Field(
        default=10_000, ge=1, description="at most so many test users are ranked for in the report"
    )
    index: IndexParameters = IndexParameters()
    recommendations: RecommendationParameters = RecommendationParameters()

    @model_validator(mode="after")
    def _consistent(self) -> "TwoTowerParameters":
        if self.builder is None and self.builder_options:
            raise ValueError("builder_options need a builder")
        return self
