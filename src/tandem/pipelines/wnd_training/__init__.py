"""Training of Wide & Deep and of every other click model, and of the classical models beside it."""

from tandem.pipelines.wnd_training.pipeline import create_pipeline, training_pipeline

__all__ = ["create_pipeline", "training_pipeline"]
