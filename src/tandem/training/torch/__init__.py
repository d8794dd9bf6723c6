"""The loop's step for PyTorch."""
