"""Metrics, baselines, charts and the report: NumPy, SciPy and Arrow alone, so that ranks and notebooks can use them.

Metrics come from sums and counts that can be added (``ClassificationSums``, ``RankingSums``), never from means of
ratios, so the number of ranks or batches does not change them.
"""

Metrics = dict[str, float | None]
"""Metric name to value; ``None`` where the metric is not defined for these rows (JSON ``null``)."""
