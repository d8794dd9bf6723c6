"""Parameters of the RecSys Challenge 2021 data."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tandem.parameters.closed import Parameters

Count = Annotated[int, Field(ge=1)]


class FrequencyLimits(Parameters):
    """How often a value must occur in the training rows to have an id of its own; rarer ones are unknown (id 0)."""

    user: Count = Field(default=1, description="training rows of a user")
    author: Count = Field(default=1, description="training rows of an author")
    tweet: Count = Field(default=1, description="training rows of a tweet")
    hashtags: Count = Field(default=1, description="occurrences of a hashtag in training rows")
    links: Count = Field(default=1, description="occurrences of a link")
    domains: Count = Field(default=1, description="occurrences of a domain")
    language: Count = Field(default=1, description="training rows of a language")


class CrossParameters(Parameters):
    """Columns that are hashed together."""

    columns: tuple[str, ...] = Field(min_length=2, description="encoded columns")
    buckets: Count = Field(description="number of ids, beside 0")

    @property
    def name(self) -> str:
        """The name of the crossed column."""
        return "_x_".join(self.columns)


class RecSys2021FeatureParameters(Parameters):
    """How raw rows become model input."""

    label: Literal["any", "reply", "retweet", "quote", "like"] = Field(
        default="any", description="which engagement is the label"
    )
    min_count: FrequencyLimits = Field(default=FrequencyLimits(), description="of the vocabularies, for every model")
    two_tower_min_count: FrequencyLimits = Field(
        default=FrequencyLimits(), description="further limits of the two-tower rows, where they are higher"
    )
    crosses: tuple[CrossParameters, ...] = Field(
        default=(CrossParameters(columns=("present_media", "language"), buckets=600),),
        description="columns that are hashed together, named a_x_b",
    )
    count_edges: tuple[float, ...] = Field(
        default=(1.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7),
        min_length=1,
        description="of follower and following counts, ascending",
    )
    num_files: Count = Field(default=4, description="of each table of model input")

    @model_validator(mode="after")
    def _consistent(self) -> "RecSys2021FeatureParameters":
        if list(self.count_edges) != sorted(set(self.count_edges)):
            raise ValueError("count_edges must ascend")
        names = [cross.name for cross in self.crosses]
        if len(set(names)) != len(names):
            raise ValueError("crosses name the same columns twice")
        return self
