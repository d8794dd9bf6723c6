"""Scores, ranked lists and the report of the trained models."""

from tandem.pipelines.inference.click import inference_pipeline
from tandem.pipelines.inference.pipeline import create_pipeline

__all__ = ["create_pipeline", "inference_pipeline"]
