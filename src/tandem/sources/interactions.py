"""From raw ratings to interactions: one row per user and item, and an account of what was left out."""

from dataclasses import dataclass, field, replace
from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.movielens import RawMovieLens, TableRead

OrphanPolicy = Literal["keep", "drop"]


@dataclass(frozen=True)
class DataQuality:
    """What was read, and what became of it. Orphans are counted among the rows without duplicates."""

    ratings_read: int
    duplicates_removed: int
    orphan_users: int  # users with ratings, but without a row in the users' table
    orphan_items: int
    orphan_ratings: int  # ratings of such a user or such an item
    orphan_policy: OrphanPolicy
    users: int  # with at least one interaction
    items: int
    interactions: int
    read: dict[str, TableRead] = field(default_factory=dict)  # what the raw tables are made of

    def summary(self) -> str:
        """One line for the log."""
        parts = [f"{self.interactions:,} interactions of {self.users:,} users and {self.items:,} items"]
        if self.duplicates_removed:
            parts.append(f"{self.duplicates_removed:,} earlier ratings of the same user and item left out")
        if self.orphan_ratings:
            fate = "kept" if self.orphan_policy == "keep" else "dropped"
            parts.append(
                f"{self.orphan_ratings:,} ratings {fate} whose user ({self.orphan_users:,} of them) or item "
                f"({self.orphan_items:,}) has no row in its table"
            )
        if self.read:
            parts.append(f"read were {', '.join(_told(name, read) for name, read in self.read.items())}")
        return "; ".join(parts)


def _told(name: str, read: TableRead) -> str:
    files = f" in {read.files} files" if read.files > 1 else ""
    return f"{read.rows:,} rows of {name}{files}"


def clean_interactions(raw: RawMovieLens, orphan_ratings: OrphanPolicy) -> tuple[DataFrame, DataQuality]:
    """Keep the latest rating of each (user, item), ties the higher one; keep or drop orphans by the policy.

    Returns:
        The interactions (user_id long, item_id long, rating double, timestamp long), lazily, and their quality, which
        costs one Spark job.

    Raises:
        UserError: nothing is left.
    """
    # Kept, as the files would otherwise be read and grouped a second time to be written.
    pairs = _one_per_pair(raw.ratings).persist()
    flagged = _flag_orphans(pairs, raw)
    kept = F.lit(True) if orphan_ratings == "keep" else ~(F.col("orphan_user") | F.col("orphan_item"))
    quality = replace(_measure(flagged.withColumn("kept", kept), orphan_ratings), read=raw.read)
    if quality.interactions == 0:
        raise UserError(
            f"no rating is left: all {quality.orphan_ratings} are of users or items without a row in their table; "
            "check that the files belong together, or set movielens_cleaning.orphan_ratings=keep"
        )
    # Without orphans there is nothing to drop: the plan is spared its joins.
    if orphan_ratings == "keep" or quality.orphan_ratings == 0:
        return _interactions(pairs), quality
    return _interactions(flagged.where(kept)), quality


def _one_per_pair(ratings: DataFrame) -> DataFrame:
    latest = F.max(F.struct("timestamp", "rating")).alias("latest")
    return ratings.groupBy("user_id", "item_id").agg(latest, F.count(F.lit(1)).alias("times"))


def _flag_orphans(pairs: DataFrame, raw: RawMovieLens) -> DataFrame:
    users = raw.users.select("user_id", F.lit(False).alias("orphan_user"))
    items = raw.items.select("item_id", F.lit(False).alias("orphan_item"))
    joined = pairs.join(users, "user_id", "left").join(items, "item_id", "left")
    return joined.fillna(True, ["orphan_user", "orphan_item"])


def _interactions(pairs: DataFrame) -> DataFrame:
    return pairs.select(
        "user_id", "item_id", F.col("latest.rating").alias("rating"), F.col("latest.timestamp").alias("timestamp")
    )


def _measure(flagged: DataFrame, policy: OrphanPolicy) -> DataQuality:
    counts = (
        flagged.agg(
            F.sum("times").alias("ratings_read"),
            F.count(F.lit(1)).alias("pairs"),
            _distinct("user_id", F.col("orphan_user")).alias("orphan_users"),
            _distinct("item_id", F.col("orphan_item")).alias("orphan_items"),
            F.count_if(F.col("orphan_user") | F.col("orphan_item")).alias("orphan_ratings"),
            _distinct("user_id", F.col("kept")).alias("users"),
            _distinct("item_id", F.col("kept")).alias("items"),
            F.count_if("kept").alias("interactions"),
        )
        .collect()[0]
        .asDict()
    )
    read, pairs = counts.pop("ratings_read") or 0, counts.pop("pairs")
    return DataQuality(ratings_read=read, duplicates_removed=read - pairs, orphan_policy=policy, **counts)


def _distinct(column: str, where: Column) -> Column:
    """How many values differ where the condition holds.

    By sets, as users and items fit into memory: four distinct aggregates would read every row five times.
    """
    return F.size(F.collect_set(F.when(where, F.col(column))))
