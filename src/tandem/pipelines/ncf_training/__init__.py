"""Training of NCF, and of the classical models beside it."""

from tandem.pipelines.ncf_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
