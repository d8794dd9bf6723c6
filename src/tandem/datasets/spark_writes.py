"""Spark's writes of Parquet, held against what is then there: before any of it takes the place of an earlier output."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.errors import UserError
from tandem.storage.locations import RemotePath, spark_address
from tandem.storage.parquet import read_footer

_ADVICE = "look whether its storage is sound and nothing else writes or removes there, and run again"

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import DataFrame


def write_parquet(data: DataFrame, folder: Path | RemotePath, *, by: str | None = None, **options: str) -> int | None:
    """Write Parquet files into a folder that has none; returns how many rows Spark's tasks say they wrote.

    None where a task failed and was repeated: what it had written until then is counted, too.

    Args:
        data: the rows.
        folder: which is there, or an address.
        by: a column whose values become sub-folders.
        options: of Spark's writer, such as ``compression``.

    An interrupt stops Java too.
    """
    from tandem.datasets.remote_tables import write_remote
    from tandem.datasets.spark_session import stopped_by_interrupt

    writer = data.write.mode("append")
    writer = writer.partitionBy(by) if by is not None else writer
    writer = writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").options(**options)
    spark, tag = data.sparkSession.sparkContext, f"write-{uuid.uuid4().hex}"
    with stopped_by_interrupt(data.sparkSession):
        spark.addJobTag(tag)
        try:
            if isinstance(folder, RemotePath):
                write_remote(writer, folder)
            else:
                writer.parquet(spark_address(folder))
        finally:
            spark.removeJobTag(tag)
        return _rows_written(spark, tag)


def _rows_written(spark: SparkContext, tag: str) -> int | None:
    """From what Spark keeps of its tasks anyway; to count in the query (``DataFrame.observe``) costs a tenth of it."""
    from py4j.protocol import Py4JJavaError

    java: Any = spark._jsc.sc()
    java.listenerBus().waitUntilEmpty()
    store, rows = java.statusStore(), 0
    try:
        for job in java.statusTracker().getJobIdsForTag(tag):
            stages = store.job(job).stageIds()
            for index in range(stages.size()):
                stage = store.lastStageAttempt(stages.apply(index))
                if stage.numFailedTasks() or stage.numKilledTasks():
                    return None
                rows += stage.outputRecords()
    except Py4JJavaError:  # of a thousand stages, the oldest are forgotten
        return None
    return int(rows)


def check_written(target: Path | RemotePath, files: Iterable[Path | RemotePath], rows: int | None) -> None:
    """Compare the rows in the files' footers with those that were written; None: nobody knows, and all are read.

    Raises:
        UserError: other rows are there; ``target`` is what they were to become.
    """
    import pyarrow as pa

    try:
        found = sum(int(read_footer(file).num_rows) for file in files)
    except pa.ArrowInvalid as error:
        raise UserError(f"{target} stays as it was: one of the new files is broken ({error}); {_ADVICE}") from error
    if rows is not None and found != rows:
        raise UserError(
            f"{target} stays as it was: {rows:,} rows were written, and {found:,} are in the new files; {_ADVICE}"
        )
