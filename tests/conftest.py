"""What every test shares: one Spark session, started on first use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

os.environ.setdefault("DO_NOT_TRACK", "1")


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A local Spark session, sized for tiny data."""
    logging.getLogger("py4j").setLevel(logging.WARNING)
    session = (
        SparkSession.builder.master("local[2]")
        .appName("tandem-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("WARN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def movielens_dir() -> Path:
    """The folder with the published ``ml-100k`` and ``ml-1m``, which cannot be distributed with the project."""
    folder = os.environ.get("TANDEM_DATA_DIR", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TANDEM_DATA_DIR names no folder with the published MovieLens data")
    return Path(folder)
