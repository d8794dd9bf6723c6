"""What a trained NeuMF says of itself, beside its weights. Needs no PyTorch."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tandem.artifacts import ModelConfig
from tandem.parameters import NeuMFParameters


class SideSizes(BaseModel):
    """What is known of the ids of one side (users or items): names, and number of ids including 0 = unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_ids: int
    categorical: dict[str, int] = {}
    bags: dict[str, int] = {}
    numeric: tuple[str, ...] = ()


class NeuMFConfig(ModelConfig):
    """Everything needed to build a NeuMF of the right shape; stored beside its weights."""

    kind: Literal["ncf"] = "ncf"
    tag: Literal["ncf"] = "ncf"
    parameters: NeuMFParameters
    users: SideSizes
    items: SideSizes
