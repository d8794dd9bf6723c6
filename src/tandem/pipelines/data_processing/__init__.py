"""From raw logs to processed rows."""

from tandem.pipelines.data_processing.pipeline import create_pipeline

__all__ = ["create_pipeline"]
