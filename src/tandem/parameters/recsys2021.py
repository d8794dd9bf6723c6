"""Parameters of the RecSys Challenge 2021 data."""

from typing import Literal

from pydantic import Field

from tandem.parameters.closed import Parameters


class RecSys2021FeatureParameters(Parameters):
    """How raw rows become model input."""

    label: Literal["any", "reply", "retweet", "quote", "like"] = Field(
        "any", description="which engagement is the label"
    )
