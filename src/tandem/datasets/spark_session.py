"""The Spark session of this process, started by the first dataset that needs it."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

# What the Java side prints before any logging configuration of ours is read.
BANNERS = (
    b"WARNING: Using incubator modules",
    b"Using Spark's default log4j profile",
    b"Setting default log level to",
    b"To adjust logging level use",
    b"Unable to load native-hadoop library",
    b"resolves to a loopback address",
    b"Set SPARK_LOCAL_IP if you need",
)


def spark_session() -> SparkSession:
    """The active session, or a new one with the configuration in ``PYSPARK_SUBMIT_ARGS``."""
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    with _without_banners():
        return SparkSession.builder.getOrCreate()


@contextmanager
def _without_banners() -> Iterator[None]:
    """Java started inside writes its standard error through a filter that lets all but the banners pass."""
    sys.stderr.flush()
    original = os.dup(2)
    reading, writing = os.pipe()
    threading.Thread(target=_copy_lines, args=(reading, os.dup(original)), daemon=True).start()
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


def _copy_lines(source: int, target: int) -> None:
    with os.fdopen(source, "rb") as lines, os.fdopen(target, "wb", buffering=0) as out:
        for line in lines:
            if not any(banner in line for banner in BANNERS):
                out.write(line)
