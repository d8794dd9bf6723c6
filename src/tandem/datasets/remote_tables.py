"""Tables on S3 or HDFS, by Spark's own connectors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tandem.datasets.spark_errors import remote_line
from tandem.errors import UserError
from tandem.storage.filesystems import explaining
from tandem.storage.locations import RemotePath, spark_address, spark_pattern
from tandem.storage.parquet import read_footer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter
    from pyspark.sql.types import StructType

SCHEMA_KEY = b"org.apache.spark.sql.parquet.row.metadata"


def read_remote(files: Sequence[RemotePath], schema: StructType | str | None = None) -> DataFrame:
    """The rows of Parquet files, at least one, of one table; without a schema that of the first file.

    Raises:
        UserError: Spark has no connector for the address, or is refused what Arrow is not.
    """
    from tandem.datasets.spark_session import spark_session

    reader = spark_session().read
    found = schema or schema_written_by_spark(read_footer(files[0]))
    with explaining_spark(files[0]):
        return (reader.schema(found) if found else reader).parquet(*[spark_pattern(file) for file in files])


def write_remote(writer: DataFrameWriter, folder: RemotePath) -> None:
    """Write Parquet files into a folder.

    Raises:
        UserError: as in :func:`read_remote`.
    """
    with explaining_spark(folder):
        writer.parquet(spark_address(folder))


def schema_written_by_spark(footer: Any) -> StructType | None:
    """The schema that Spark left in a file's footer; None where something else wrote it."""
    from pyspark.sql.types import StructType

    written = (footer.metadata or {}).get(SCHEMA_KEY)
    return StructType.fromJson(json.loads(written)) if written else None


@contextmanager
def explaining_spark(place: RemotePath) -> Iterator[None]:
    """What Spark's connector refuses becomes a UserError of one line; what else fails in Spark keeps its own error."""
    try:
        with explaining(place):
            yield
    except UserError:
        raise
    except Exception as error:  # Py4J's and Spark's have no base of their own
        line = remote_line(str(error), spark_address(place))
        if line is None:
            raise
        raise UserError(line) from error
