"""The training loops, and the entry points of the ranks. Knows neither Kedro nor Spark."""
