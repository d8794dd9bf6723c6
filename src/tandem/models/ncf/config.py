"""What a trained NeuMF says of itself, beside its weights. Needs no PyTorch."""

from pydantic import BaseModel, ConfigDict

from tandem.parameters import NeuMFParameters

FORMAT_VERSION = 1


class SideSizes(BaseModel):
    """What is known of the ids of one side (users or items): names, and number of ids including 0 = unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_ids: int
    categorical: dict[str, int] = {}
    bags: dict[str, int] = {}
    numeric: tuple[str, ...] = ()


class Calibration(BaseModel):
    """Platt scaling (Platt 1999) of logits, fitted on held-out training rows; the identity where nothing was fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = 1.0
    offset: float = 0.0


class NeuMFConfig(BaseModel):
    """Everything needed to build a NeuMF of the right shape; stored beside its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    parameters: NeuMFParameters
    users: SideSizes
    items: SideSizes
    feature_spec_fingerprint: str = ""
    calibration: Calibration = Calibration()
