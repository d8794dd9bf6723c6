"""Training of the two towers, their vectors and their index."""

from tandem.pipelines.two_tower.pipeline import create_pipeline

__all__ = ["create_pipeline"]
