"""Trained models, applied."""
