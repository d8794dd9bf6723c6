"""Feature engineering on Spark DataFrames: fit on training rows, one saved feature spec, apply anywhere.

Native expressions and joins only. Every draw is a hash of the seed and of the row's own keys, so that no partitioning
can change a result.
"""
