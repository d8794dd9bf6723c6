import pytest
from pyspark.sql import SparkSession

from tandem.errors import UserError
from tandem.sources.interactions import DataQuality, clean_interactions
from tandem.sources.movielens import RawMovieLens

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


def _raw(spark: SparkSession, ratings: list[tuple[int, int, float, int]] = RATINGS) -> RawMovieLens:
    users = [(1, "F", 24, "artist", "1"), (2, "M", None, None, None), (7, "M", 30, "other", "2")]
    items = [(10, "A", 1995, ["Drama"]), (11, "B", None, [])]
    return RawMovieLens(
        spark.createDataFrame(ratings, "user_id long, item_id long, rating double, timestamp long"),
        spark.createDataFrame(users, "user_id long, gender string, age int, occupation string, zip_code string"),
        spark.createDataFrame(items, "item_id long, title string, year int, genres array<string>"),
    )


def test_one_row_a_pair_and_orphans_kept(spark: SparkSession) -> None:
    interactions, quality = clean_interactions(_raw(spark), "keep")
    assert interactions.columns == ["user_id", "item_id", "rating", "timestamp"]
    assert sorted(tuple(row) for row in interactions.collect()) == [
        (1, 10, 2.0, 200),
        (1, 11, 4.0, 300),
        (1, 99, 1.0, 100),
        (2, 10, 1.0, 100),
        (3, 10, 1.0, 100),
        (3, 99, 1.0, 100),
    ]
    assert quality == DataQuality(
        ratings_read=9,
        duplicates_removed=3,
        orphan_users=1,
        orphan_items=1,
        orphan_ratings=3,
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
    assert (quality.orphan_ratings, quality.users, quality.items, quality.interactions) == (3, 2, 2, 3)


def test_nothing_left_is_an_error(spark: SparkSession) -> None:
    with pytest.raises(UserError, match=r"no rating is left: all 1 are of users or items without a row"):
        clean_interactions(_raw(spark, [(5, 10, 1.0, 1)]), "drop")
