"""A log of one's own: tables in CSV, JSON lines or Parquet, in the roles that one page of YAML gives their columns.

:func:`locate_tables` tells what can be told before Spark starts; :func:`read_tables` gives the rows.
"""

from typing import TYPE_CHECKING

from tandem.sources.tables.files import LocatedTables, locate_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tandem.parameters import TablesParameters
    from tandem.sources.schema import InteractionTables

__all__ = ["LocatedTables", "locate_tables", "read_tables"]


def read_tables(spark: "SparkSession", parameters: "TablesParameters") -> "InteractionTables":
    """The log, each of its rows checked: :func:`tandem.sources.tables.reading.read`."""
    from tandem.sources.tables.reading import read  # where no Spark was, nothing of it is imported

    return read(spark, parameters)
