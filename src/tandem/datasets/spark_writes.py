"""Spark's writes of Parquet, held against what is then there: before any of it takes the place of an earlier output."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tandem.errors import UserError
from tandem.storage.locations import RemotePath, spark_address
from tandem.storage.parquet import read_footer

_ADVICE = "look whether its storage is sound and nothing else writes or removes there, and run again"

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_parquet(data: DataFrame, folder: Path | RemotePath, *, by: str | None = None, **options: str) -> int:
    """Write Parquet files into a folder that has none; returns how many rows Spark counted as it wrote them.

    Args:
        data: the rows.
        folder: which is there, or an address.
        by: a column whose values become sub-folders.
        options: of Spark's writer, such as ``compression``.

    An interrupt stops Java too.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.datasets.remote_tables import write_remote
    from tandem.datasets.spark_session import stopped_by_interrupt

    counted = Observation()
    # Counted in the tasks that write: 0.2 microseconds a row, and no job of its own.
    writer = data.observe(counted, F.count(F.lit(1)).alias("rows")).write.mode("append")
    writer = writer.partitionBy(by) if by is not None else writer
    writer = writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").options(**options)
    with stopped_by_interrupt(data.sparkSession):
        if isinstance(folder, RemotePath):
            write_remote(writer, folder)
        else:
            writer.parquet(spark_address(folder))
        return int(counted.get["rows"])


def check_written(target: Path | RemotePath, files: Iterable[Path | RemotePath], rows: int) -> None:
    """Compare the rows in the files' footers with those that were written.

    Raises:
        UserError: other rows are there; ``target`` is what they were to become.
    """
    import pyarrow as pa

    try:
        found = sum(int(read_footer(file).num_rows) for file in files)
    except pa.ArrowInvalid as error:
        raise UserError(f"{target} stays as it was: one of the new files is broken ({error}); {_ADVICE}") from error
    if found != rows:
        raise UserError(
            f"{target} stays as it was: {rows:,} rows were written, and {found:,} are in the new files; {_ADVICE}"
        )
