"""Tandem: recommender workflows from raw logs to ranked lists."""

__version__ = "0.1.0"
