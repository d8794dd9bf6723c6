"""From Parquet to the batches of one rank."""
