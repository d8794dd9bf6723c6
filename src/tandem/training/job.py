"""What the ranks of every training are told."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class TrainingJob(BaseModel):
    """The part of a job that no model adds to; it travels as JSON, and paths are absolute.

    Attributes:
        seed: of every draw.
        feature_spec_fingerprint: of the spec that has encoded the rows.
        staging: the folder of the results.
        checkpoints: the folder of the checkpoint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    feature_spec_fingerprint: str
    staging: Path
    checkpoints: Path
