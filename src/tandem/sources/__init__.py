"""Reading and generating raw data. Knows Spark, not Kedro."""
