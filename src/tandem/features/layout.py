"""The order of rows in files, fixed by their keys."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.draws import seeded_hash, seeded_text_hash


def shuffled(rows: DataFrame, seed: int, num_files: int = 4) -> DataFrame:
    """The rows in a random order that only ``seed`` and their (user_id, item_id) decide.

    The result has ``num_files`` partitions, each sorted: written as it is, one file each (none for an empty one). A
    row's file and its place in it follow from its hash, so they are the same for any partitioning of the input.

    Make it the last step: filters and a choice of columns may follow, but Spark drops a sort that a join, an aggregate
    or another sort comes after.
    """
    order = seeded_hash(seed, "row order", F.col("user_id"), F.col("item_id"))
    placed = rows.withColumn("_order", order)
    in_files = placed.repartitionById(num_files, F.pmod("_order", F.lit(num_files)).cast("int"))
    return in_files.sortWithinPartitions("_order", "user_id", "item_id").drop("_order")


def shuffled_texts(rows: DataFrame, seed: int, keys: Sequence[str], num_files: int = 4) -> DataFrame:
    """The same for rows whose ``keys`` are texts and need not be unique: their other columns order those of one key."""
    order = seeded_text_hash(seed, "row order", *(F.col(key) for key in keys))
    placed = rows.withColumn("_order", order)
    in_files = placed.repartitionById(num_files, F.pmod("_order", F.lit(num_files)).cast("int"))
    ties = (*keys, *(name for name in rows.columns if name not in keys))
    return in_files.sortWithinPartitions("_order", *ties).drop("_order")
