"""The models, one file each; they know neither Spark, nor MPI, nor Kedro."""
