"""Nearest item vectors for user vectors."""
