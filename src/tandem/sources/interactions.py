"""From a raw log to interactions: one row per user and item, and an account of what was left out."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.schema import InteractionTables, TableRead

OrphanPolicy = Literal["keep", "drop"]

COLUMNS = ("user_id", "item_id", "weight", "timestamp")
"""Of interactions; ``split`` follows where the log has one."""


@dataclass(frozen=True)
class DataQuality:
    """What was read, and what became of it. Orphans are counted among the rows without duplicates."""

    rows_read: int
    negatives_removed: int  # rows with label 0
    duplicates_removed: int
    orphan_users: int  # users with interactions, but without a row in the users' table
    orphan_items: int
    orphan_interactions: int  # of such a user or such an item
    orphan_policy: OrphanPolicy
    users: int  # with at least one interaction
    items: int
    interactions: int
    read: dict[str, TableRead] = field(default_factory=dict)  # what the raw tables are made of

    def summary(self) -> str:
        """One line for the log."""
        parts = [f"{self.interactions:,} interactions of {self.users:,} users and {self.items:,} items"]
        if self.negatives_removed:
            parts.append(f"{self.negatives_removed:,} rows with label 0 left out")
        if self.duplicates_removed:
            parts.append(f"{self.duplicates_removed:,} earlier rows of the same user and item left out")
        if self.orphan_interactions:
            fate = "kept" if self.orphan_policy == "keep" else "dropped"
            parts.append(
                f"{self.orphan_interactions:,} interactions {fate} whose user ({self.orphan_users:,} of them) or item "
                f"({self.orphan_items:,}) has no row in its table"
            )
        if self.read:
            parts.append(f"read were {', '.join(_told(name, read) for name, read in self.read.items())}")
        return "; ".join(parts)


def _told(name: str, read: TableRead) -> str:
    files = f" in {read.files} files" if read.files > 1 else ""
    return f"{read.rows:,} rows of {name}{files}"


def clean_interactions(raw: InteractionTables, orphans: OrphanPolicy) -> tuple[DataFrame, DataQuality]:
    """Keep the latest positive row of each (user, item), ties the one of more weight; keep or drop orphans.

    Rows with label 0 are no interactions. Of rows of one time and weight in several parts of a given split, one in
    training comes first.

    Returns:
        The interactions (``COLUMNS``, and ``split`` where the log has one), lazily, and their quality, which costs one
        Spark job.

    Raises:
        UserError: nothing is left.
    """
    # Kept, as the files would otherwise be read and grouped a second time to be written.
    pairs = _one_per_pair(raw.interactions).persist()
    flagged = _flag_orphans(pairs.where("positives > 0"), raw)
    kept = F.lit(True) if orphans == "keep" else ~(F.col("orphan_user") | F.col("orphan_item"))
    read = pairs.agg(F.sum("times").alias("rows_read"), F.sum("positives").alias("positive_rows"))
    quality = replace(_measure(flagged.withColumn("kept", kept), read, orphans), read=raw.read)
    if quality.interactions == 0:
        raise UserError(_nothing_left(quality))
    columns = (*COLUMNS, "split") if raw.schema.has_split else COLUMNS
    # Without orphans there is nothing to drop: the plan is spared its joins.
    if orphans == "keep" or quality.orphan_interactions == 0:
        return _interactions(pairs.where("positives > 0"), columns), quality
    return _interactions(flagged.where(kept), columns), quality


def _nothing_left(quality: DataQuality) -> str:
    if not quality.orphan_interactions:
        return (
            f"no interaction is left: all {quality.rows_read:,} rows of the log have label 0; check which column the "
            "label is, and which of its values are 1"
        )
    return (
        f"no interaction is left: all {quality.orphan_interactions} are of users or items without a row in their "
        "table; check that the files belong together, or set interactions_cleaning.orphans=keep"
    )


def _one_per_pair(rows: DataFrame) -> DataFrame:
    positive = F.col("label") == 1
    # "validation" > "train" > "test": what is trained on is not tested.
    latest = F.max(F.when(positive, F.struct("timestamp", "weight", "split"))).alias("latest")
    counts = F.count(F.lit(1)).alias("times"), F.count_if(positive).alias("positives")
    return rows.groupBy("user_id", "item_id").agg(latest, *counts)


def _flag_orphans(pairs: DataFrame, raw: InteractionTables) -> DataFrame:
    users = _listed(raw.users, raw.unlisted_users, "user_id").withColumn("orphan_user", F.lit(False))
    items = _listed(raw.items, raw.unlisted_items, "item_id").withColumn("orphan_item", F.lit(False))
    joined = pairs.join(users, "user_id", "left").join(items, "item_id", "left")
    return joined.fillna(True, ["orphan_user", "orphan_item"])


def _listed(table: DataFrame, unlisted: DataFrame | None, key: str) -> DataFrame:
    """The ids of a table, without those that stand in it for their text alone."""
    ids = table.select(key)
    return ids if unlisted is None else ids.join(unlisted.select(key), key, "left_anti")


def _interactions(pairs: DataFrame, columns: tuple[str, ...]) -> DataFrame:
    ids = ("user_id", "item_id")
    return pairs.select(*ids, *(F.col(f"latest.{name}").alias(name) for name in columns if name not in ids))


def _measure(flagged: DataFrame, read: DataFrame, policy: OrphanPolicy) -> DataQuality:
    counted = flagged.agg(
        F.count(F.lit(1)).alias("pairs"),
        _distinct("user_id", F.col("orphan_user")).alias("orphan_users"),
        _distinct("item_id", F.col("orphan_item")).alias("orphan_items"),
        F.count_if(F.col("orphan_user") | F.col("orphan_item")).alias("orphan_interactions"),
        _distinct("user_id", F.col("kept")).alias("users"),
        _distinct("item_id", F.col("kept")).alias("items"),
        F.count_if("kept").alias("interactions"),
    )
    counts = counted.crossJoin(read).collect()[0].asDict()
    pairs, rows_read, positives = (counts.pop(name) or 0 for name in ("pairs", "rows_read", "positive_rows"))
    return DataQuality(
        rows_read=rows_read,
        negatives_removed=rows_read - positives,
        duplicates_removed=positives - pairs,
        orphan_policy=policy,
        **counts,
    )


def _distinct(column: str, where: Column) -> Column:
    """How many values differ where the condition holds.

    By sets, as users and items fit into memory: four distinct aggregates would read every row five times.
    """
    return F.size(F.collect_set(F.when(where, F.col(column))))
