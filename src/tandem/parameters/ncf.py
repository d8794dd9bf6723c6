"""Parameters of neural collaborative filtering."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tandem.parameters.closed import Fraction, Parameters, Rate
from tandem.parameters.training import EarlyStoppingParameters, TrainingParameters


class NeuMFParameters(Parameters):
    """Sizes of NeuMF (He et al. 2017, section 3.4)."""

    gmf_dim: int = Field(default=16, ge=1, description="width of the generalised matrix factorisation part")
    weighted_gmf: bool = Field(
        default=True,
        description="train an output weight per GMF dimension; false: all 1, so none can undo embedding_l2",
    )
    mlp_dim: int = Field(default=64, ge=1, description="width of the user and of the item embedding of the MLP part")
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(64, 32, 16), min_length=1)
    side_dim: int = Field(
        default=8, ge=0, description="width of each side feature's embedding; 0 leaves side features out"
    )
    dropout: Rate = Field(default=0.5, description="behind every hidden layer")
    embedding_dropout: Rate = Field(default=0.0, description="of the embeddings that enter GMF and MLP")
    embedding_init_std: float = Field(default=0.01, gt=0.0)


class NCFEarlyStoppingParameters(EarlyStoppingParameters):
    """Stop when the metric, on rows held out of the training rows, has not improved for ``patience`` epochs."""

    metric: Literal["ndcg@10", "recall@10", "log_loss"] = Field(
        default="ndcg@10", description="which the best epoch is chosen by, and its weights restored"
    )


class NCFBaselineParameters(Parameters):
    """Which classical models are reported beside NCF, on the same rows."""

    models: tuple[Literal["popularity", "ease", "als"], ...] = ("popularity", "ease", "als")
    tune: bool = Field(default=True, description="choose their settings on a validation part of the training rows")
    ease_l2: float = Field(default=400.0, gt=0.0)
    ease_max_items: int = Field(
        default=20_000, ge=1, description="EASE inverts an items x items matrix: none above this size"
    )
    als_factors: int = Field(default=32, ge=1)
    als_regularization: float = Field(default=10.0, ge=0.0)
    als_alpha: float = Field(default=1.0, gt=0.0)
    als_iterations: int = Field(default=15, ge=1)


class NCFParameters(TrainingParameters):
    """Neural collaborative filtering: data, model, training, lists and baselines."""

    # Data.
    split: Literal["random", "leave_one_out", "temporal", "given"] = "random"
    test_fraction: Fraction = Field(
        default=0.2, description="of each user's interactions (random) or of all (temporal)"
    )
    negatives_per_positive: int = Field(default=4, ge=0, description="stored negatives, fixed and seeded")
    min_zip_code_users: int = Field(default=2, ge=1, description="of MovieLens: rarer zip codes are unknown (id 0)")

    # Model.
    model: NeuMFParameters = NeuMFParameters()

    # Training.
    loss: Literal["bce", "sampled_softmax"] = "bce"
    negatives: Literal["stored", "fresh", "shared"] = Field(
        default="stored",
        description="stored rows; fresh: each positive's own, drawn anew every epoch in the ranks; shared: steps of "
        "whole users with all their positives, and one fresh draw that they share",
    )
    fresh_negatives: int = Field(default=4, ge=1, description="per positive (shared: what they weigh, per positive)")
    shared_negatives: int = Field(default=512, ge=1, description="items in the draw that the users of a step share")
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=10_240, ge=1, description="rows of one step on all ranks together")
    mlp_learning_rate_factor: float = Field(
        default=1.0, gt=0.0, description="of the MLP part: it overfits before GMF is done"
    )
    weight_decay: float = Field(default=0.0, ge=0.0, description="L2 penalty, added to the gradient")
    decoupled_weight_decay: bool = Field(default=False, description="apply weight_decay as AdamW does")
    embedding_l2: float = Field(
        default=0.0,
        ge=0.0,
        description="penalty on the squared GMF embeddings of the user and item of each scored pair",
    )
    unknown_rate: Rate = Field(default=0.01, description="share of the rows trained with their user or item as unknown")
    validation_fraction: Rate = Field(default=0.1, description="of the training positives, for early stopping; 0: none")
    validation_users: int = Field(
        default=2_000, ge=1, description="at most so many users are ranked for between epochs"
    )
    early_stopping: NCFEarlyStoppingParameters | None = NCFEarlyStoppingParameters()
    publish: Literal["auto", "evaluated", "all"] = Field(
        default="auto",
        description="evaluated: the model of the report makes the lists; all: a last one does, trained on the test "
        "rows too, for as many epochs; auto: all for tables of your own (data: tables), else evaluated",
    )
    memory_limit_mb: float | None = Field(
        default=None,
        gt=0.0,
        description="megabytes for the rows of a rank: more are streamed from Parquet every epoch "
        "(docs/data_per_rank.md); null: all in memory; needs negatives: stored",
    )
    checkpoint_seconds: float = Field(
        default=0.0, ge=0.0, description="a checkpoint at the end of an epoch when the last is so old; 0: every epoch"
    )

    # Lists and report.
    top_n: int = Field(default=10, ge=1)
    recommend_users: Literal["all"] | tuple[int | str, ...] = "all"
    baselines: NCFBaselineParameters = NCFBaselineParameters()

    def publishes_all(self, data: str) -> bool:
        """Whether the published model learns the test rows too; data: ``movielens``, or ``tables`` of one's own."""
        return self.publish == "all" or (self.publish == "auto" and data == "tables")

    @model_validator(mode="after")
    def _consistent(self) -> "NCFParameters":
        if self.loss == "sampled_softmax" and self.negatives == "stored":
            raise ValueError("loss: sampled_softmax needs negatives: fresh or shared")
        if self.negatives == "stored" and self.negatives_per_positive == 0:
            raise ValueError("negatives: stored needs negatives_per_positive of at least 1")
        if self.memory_limit_mb is not None and self.negatives != "stored":
            raise ValueError(
                f"memory_limit_mb needs negatives: stored, found {self.negatives}: to draw negatives, "
                "a rank looks up the positives of every user, which must all be in its memory"
            )
        if self.optimizer == "adagrad" and self.weight_decay > 0.0:
            raise ValueError(f"weight_decay needs optimizer: adam, found adagrad with {self.weight_decay:g}")
        return self
