"""The loop's step for Keras."""
