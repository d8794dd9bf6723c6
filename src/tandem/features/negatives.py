"""Seeded negatives: real items that a user has not interacted with, fixed once and stored.

Items stand in one seeded order, at positions 0..N-1. Each user visits them by the affine walk

    position(j) = (start + step * j) mod P,    P the smallest prime >= N, 1 <= step < P,

``start`` and ``step`` drawn from the seed and the user. As P is prime, j = 0..P-1 visits every position exactly once:
draws cannot repeat, nothing is rejected in a loop, and a user who has rated almost everything gets exactly what is
left. At most P-N steps fall outside the catalogue and at most one per positive on a positive, so the first
``wanted + positives + (P-N)`` steps are enough.
"""

from math import isqrt

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.draws import seeded_hash
from tandem.features.splits import TEST, TRAIN, VALIDATION
from tandem.features.vocabulary import number_ids, small


def add_negatives(with_split: DataFrame, items: DataFrame, per_positive: int, seed: int) -> DataFrame:
    """The positives and ``per_positive`` times as many negatives: user_id, item_id, label, timestamp, split.

    Label is 1 or 0, the timestamp of a negative 0. Negatives come from ``items`` (column item_id; pass those with a
    training interaction), are never a positive of the same user in any split, and no (user, item) pair occurs twice.
    Each split gets them in proportion to its positives; a user with fewer items left than wanted gets all of them,
    of which test and validation take the rounded-down shares. Adding a validation split does not change the negatives
    of test. Runs one small job, that counts the items.
    """
    catalogue, num_items = _catalogue(items, seed)
    per_user = (
        with_split.join(catalogue, "item_id", "left")
        .groupBy("user_id")
        .agg(
            F.collect_list(F.struct("item_id", "timestamp", "split")).alias("positives"),
            F.collect_list("position").alias("rated"),
            F.count_if(F.col("split") == TEST).alias("test"),
            F.count_if(F.col("split").isin(TEST, VALIDATION)).alias("held_out"),
        )
    )
    wanted = F.size("positives") * F.lit(per_positive)
    with_walk = per_user.withColumn("negatives", _first_unrated(num_items, wanted, seed, "negatives"))
    rows = with_walk.select("user_id", F.explode(F.concat(_positive_rows(), _negative_rows())).alias("row"))
    return _with_item_ids(rows.select("user_id", "row.*"), catalogue).select(
        "user_id", "item_id", "label", "timestamp", "split"
    )


def sample_test_candidates(
    test_positives: DataFrame, all_positives: DataFrame, items: DataFrame, n: int = 99, seed: int = 0
) -> DataFrame:
    """For each user of ``test_positives`` those rows (label 1) and ``n`` negatives (label 0): user_id, item_id, label.

    The protocol of He et al. 2017, section 4.1. Negatives are none of the user's ``all_positives`` (train and test),
    differ from each other, and come from ``items``; where fewer than ``n`` exist, all of them. Both frames need
    user_id and item_id, one row per pair. Runs one small job, that counts the items.
    """
    catalogue, num_items = _catalogue(items, seed)
    positives = test_positives.select("user_id", "item_id", F.lit(1).alias("label"))
    rated = all_positives.select("user_id", "item_id", F.lit(0).alias("label"))
    per_user = (
        positives.unionByName(rated)
        .join(catalogue, "item_id", "left")
        .groupBy("user_id")
        .agg(
            F.collect_set(F.when(F.col("label") == 1, F.col("item_id"))).alias("tested"),
            F.collect_set("position").alias("rated"),
        )
    )
    with_walk = per_user.filter(F.size("tested") > 0).withColumn(
        "negatives", _first_unrated(num_items, F.lit(n), seed, "test candidates")
    )
    candidates = F.concat(
        F.transform("tested", lambda item: _row(item_id=item, label=1)),
        F.transform("negatives", lambda position: _row(position=position, label=0)),
    )
    rows = with_walk.select("user_id", F.explode(candidates).alias("row"))
    return _with_item_ids(rows.select("user_id", "row.*"), catalogue).select("user_id", "item_id", "label")


def _catalogue(items: DataFrame, seed: int) -> tuple[DataFrame, int]:
    """The items with their ``position`` in the seeded order, from 0, and their number."""
    order = seeded_hash(seed, "item order", F.col("item_id"))
    numbered = number_ids(items, "item_id", "number", order)
    num_items = items.select("item_id").dropna().distinct().count()
    positions = numbered.select("item_id", (F.col("number") - 1).cast("long").alias("position"))
    return small(positions, num_items), num_items


def _first_unrated(num_items: int, wanted: Column, seed: int, purpose: str) -> Column:
    """The first ``wanted`` positions of the user's walk that are not in the array column ``rated``."""
    prime = _prime_from(num_items)
    start = F.pmod(seeded_hash(seed, f"{purpose}: start", F.col("user_id")), F.lit(prime))
    step = 1 + F.pmod(seeded_hash(seed, f"{purpose}: step", F.col("user_id")), F.lit(prime - 1))
    steps = F.least(F.lit(prime), wanted.cast("long") + F.size("rated") + F.lit(prime - num_items))
    # Never an empty range: sequence(0, -1) would count down.
    last = F.greatest(steps, F.lit(1)) - 1
    walk = F.transform(F.sequence(F.lit(0).cast("long"), last), lambda j: (start + step * j) % F.lit(prime))
    in_catalogue = F.filter(walk, lambda position: position < F.lit(num_items))
    # array_except keeps the order of its first array, here that of the walk.
    return F.slice(F.array_except(in_catalogue, F.col("rated")), F.lit(1), wanted)


def _positive_rows() -> Column:
    return F.transform(
        "positives", lambda p: _row(item_id=p["item_id"], label=1, timestamp=p["timestamp"], split=p["split"])
    )


def _negative_rows() -> Column:
    """Test takes the first negatives of the walk, validation the next, train the rest."""
    available, positives = F.size("negatives").cast("long"), F.size("positives")
    test_end = F.floor(available * F.col("test") / positives)
    held_out_end = F.floor(available * F.col("held_out") / positives)

    def negative(position: Column, index: Column) -> Column:
        split = F.when(index < test_end, TEST).when(index < held_out_end, VALIDATION).otherwise(TRAIN)
        return _row(position=position, label=0, split=split)

    return F.transform("negatives", negative)


def _row(
    *,
    label: int,
    item_id: Column | None = None,
    position: Column | None = None,
    timestamp: Column | None = None,
    split: Column | None = None,
) -> Column:
    nothing = F.lit(None)
    return F.struct(
        (nothing if item_id is None else item_id).cast("long").alias("item_id"),
        (nothing if position is None else position).cast("long").alias("position"),
        F.lit(label).cast("int").alias("label"),
        (F.lit(0) if timestamp is None else timestamp).cast("long").alias("timestamp"),
        (nothing if split is None else split).cast("string").alias("split"),
    )


def _with_item_ids(rows: DataFrame, catalogue: DataFrame) -> DataFrame:
    """Rows that know only a position get the item there."""
    at_position = catalogue.withColumnRenamed("item_id", "item_there")
    joined = rows.join(at_position, "position", "left")
    return joined.withColumn("item_id", F.coalesce("item_id", "item_there"))


def _prime_from(number: int) -> int:
    """The smallest prime that is at least ``number`` (Bertrand: below twice it)."""
    candidate = max(number, 2)
    while any(candidate % divisor == 0 for divisor in range(2, isqrt(candidate) + 1)):
        candidate += 1
    return candidate
