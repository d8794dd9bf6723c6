"""Training of Wide & Deep, and of the classical models beside it."""

from tandem.pipelines.wnd_training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
