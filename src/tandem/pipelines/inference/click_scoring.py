"""A trained click model applied by Spark: rows of any origin, with the model's probability for each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.artifacts import read_config
from tandem.models.click.config import ClickConfig

# Spark keeps one pool of Python processes for each set of variables. These processes import one framework and keep its
# threads to one each: there is one of them per core already.
POOLS = {
    "tensorflow": {
        "TANDEM_FRAMEWORK": "tensorflow",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    },
    "torch": {"TANDEM_FRAMEWORK": "torch", "OMP_NUM_THREADS": "1"},
}


def with_predictions(rows: DataFrame, model: Path) -> DataFrame:
    """Rows with the model's columns, and ``prediction`` (double, a probability) for each; lazy.

    Args:
        rows: with all the columns that the model in the folder reads; others are kept.
        model: the folder of the trained model.
    """
    folder = model.resolve()

    def predict(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from tandem.scoring.click import predict_rows

        return predict_rows(batches, folder)

    schema = rows.withColumn("prediction", F.lit(0.0)).schema
    with _workers_of_their_own(rows.sparkSession, read_config(folder, ClickConfig).framework):
        return rows.mapInArrow(predict, schema)


@contextmanager
def _workers_of_their_own(session: SparkSession, framework: str) -> Iterator[None]:
    """Functions made inside run in Python processes that no other framework is imported into."""
    environment = session.sparkContext.environment
    before = dict(environment)
    environment.update(POOLS[framework])
    if "PYTHONPATH" in os.environ:  # where a model of the user's own is found
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    try:
        yield
    finally:
        environment.clear()
        environment.update(before)
