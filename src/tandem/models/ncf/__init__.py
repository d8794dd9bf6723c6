"""Neural collaborative filtering."""
