from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from tandem.errors import UserError
from tandem.sources.interactions import DataQuality, clean_interactions
from tandem.sources.movielens import movielens_schema
from tandem.sources.schema import InteractionTables

RATINGS = [
    (1, 10, 5.0, 100),
    (1, 10, 2.0, 200),  # the later one of two, though the lower
    (1, 11, 4.0, 300),
    (1, 11, 3.0, 300),  # a tie: the higher one stays
    (1, 11, 4.0, 300),  # and a plain repetition
    (2, 10, 1.0, 100),
    (3, 10, 1.0, 100),  # no such user
    (1, 99, 1.0, 100),  # no such item
    (3, 99, 1.0, 100),  # neither
]


def _raw(spark: SparkSession, ratings: list[tuple[int, int, float, int]] = RATINGS) -> InteractionTables:
    users = [(1, "F", 24, "artist", "1"), (2, "M", None, None, None), (7, "M", 30, "other", "2")]
    log = spark.createDataFrame(ratings, "user_id long, item_id long, weight double, timestamp long")
    items = [(10, "A", 1995, ["Drama"]), (11, "B", None, [])]
    return InteractionTables(
        log.selectExpr("*", "1 AS label", "CAST(NULL AS string) AS split"),
        spark.createDataFrame(users, "user_id long, gender string, age int, occupation string, zip_code string"),
        spark.createDataFrame(items, "item_id long, title string, year int, genres array<string>"),
        movielens_schema(),
    )


def test_one_row_a_pair_and_orphans_kept(spark: SparkSession) -> None:
    interactions, quality = clean_interactions(_raw(spark), "keep")
    assert interactions.columns == ["user_id", "item_id", "weight", "timestamp"]
    assert sorted(tuple(row) for row in interactions.collect()) == [
        (1, 10, 2.0, 200),
        (1, 11, 4.0, 300),
        (1, 99, 1.0, 100),
        (2, 10, 1.0, 100),
        (3, 10, 1.0, 100),
        (3, 99, 1.0, 100),
    ]
    assert quality == DataQuality(
        rows_read=9,
        negatives_removed=0,
        duplicates_removed=3,
        orphan_users=1,
        orphan_items=1,
        orphan_interactions=3,
        orphan_policy="keep",
        users=3,
        items=3,
        interactions=6,
    )


def test_orphans_dropped(spark: SparkSession) -> None:
    interactions, quality = clean_interactions(_raw(spark), "drop")
    assert sorted(tuple(row) for row in interactions.collect()) == [
        (1, 10, 2.0, 200),
        (1, 11, 4.0, 300),
        (2, 10, 1.0, 100),
    ]
    assert (quality.orphan_interactions, quality.users, quality.items, quality.interactions) == (3, 2, 2, 3)


def test_rows_that_stand_in_a_table_for_the_text_of_their_id_alone_are_orphans(spark: SparkSession) -> None:
    raw = _raw(spark)
    user = raw.users.limit(1).selectExpr(
        "3L AS user_id", "NULL AS gender", "NULL AS age", "'x' AS occupation", "'1' AS z"
    )
    raw = replace(
        raw,
        users=raw.users.union(user),
        unlisted_users=spark.createDataFrame([(3,)], "user_id long"),
        unlisted_items=spark.createDataFrame([], "item_id long"),
    )
    _, quality = clean_interactions(raw, "drop")
    assert (quality.orphan_users, quality.orphan_items, quality.interactions) == (1, 1, 3)


def test_nothing_left_is_an_error(spark: SparkSession) -> None:
    with pytest.raises(UserError, match=r"no interaction is left: all 1 are of users or items without a row"):
        clean_interactions(_raw(spark, [(5, 10, 1.0, 1)]), "drop")
