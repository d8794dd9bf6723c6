"""Raw rows of the RecSys Challenge 2021, cleaned: one flat row each, with plain names, a label, and lists shortened.

Nothing of this is learnt from the rows but which value of a training row's list is the most frequent.
"""

from typing import Literal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.lists import keep_most_frequent, list_length, split_list

Label = Literal["any", "reply", "retweet", "quote", "like"]

ENGAGEMENTS = {
    "reply": "reply_timestamp",
    "retweet": "retweet_timestamp",
    "quote": "retweet_with_comment_timestamp",
    "like": "like_timestamp",
}
IDS = ("user_id", "tweet_id", "author_id")
LISTS = ("hashtags", "links", "domains")
"""Cleaned names of the columns that hold lists."""
MEDIA_KEPT = 2


def clean_rows(raw: DataFrame, label: Label) -> DataFrame:
    """One row per raw row: ids, time, label, and every value that becomes a feature.

    - ``user_id``, ``tweet_id``, ``author_id`` string, empty where the raw row has none; ``tweet_timestamp`` long, 0
      where it has none; ``latest_timestamp`` long, of the tweet and its engagements.
    - ``label`` int: 1 where the engagement (or any) has a time, else 0.
    - ``present_media``: the first two of them, joined by ``_``; empty for none.
    - ``num_<list>`` int and ``<list>`` string, as raw; ``<side>_ratio`` = following / (followers + 1).
    - Everything else keeps its value; null is unknown.
    """
    return raw.select(
        *(F.coalesce(column, F.lit("")).alias(name) for name, column in zip(IDS, _raw_ids(), strict=True)),
        _time("tweet_timestamp").alias("tweet_timestamp"),
        F.greatest(_time("tweet_timestamp"), *map(_time, ENGAGEMENTS.values())).alias("latest_timestamp"),
        label_column(label).alias("label"),
        "language",
        F.array_join(F.slice(split_list(F.col("present_media")), 1, MEDIA_KEPT), "_").alias("present_media"),
        "tweet_type",
        *_side_columns("user", "enaging_user"),
        *_side_columns("author", "engaged_with_user"),
        F.col("engagee_follows_engager").cast("boolean").alias("follows"),
        *(list_length(column).alias(f"num_{name}") for name, column in _raw_lists().items()),
        *(column.alias(name) for name, column in _raw_lists().items()),
    )


def lists_of(raw: DataFrame) -> DataFrame:
    """The lists of raw rows alone, under the names that cleaned rows have them by."""
    return raw.select(*(column.alias(name) for name, column in _raw_lists().items()))


def with_one_value_per_list(train: DataFrame, min_count: dict[str, int], lists: DataFrame | None = None) -> DataFrame:
    """Cleaned training rows with the most frequent value of each list, and ``<list>_count``, how often it occurs.

    ``lists``: their lists alone (:func:`lists_of`), to be read in place of ``train`` by the jobs that count.
    """
    return keep_most_frequent(train, LISTS, min_count=min_count, lists=lists)


def label_column(label: Label) -> Column:
    """1 where the engagement happened (has a time after second 0), else 0; int."""
    times = ENGAGEMENTS.values() if label == "any" else (ENGAGEMENTS[label],)
    return F.when(F.greatest(F.lit(0), *map(_time, times)) > 0, 1).otherwise(0)


def _time(name: str) -> Column:
    return F.coalesce(F.col(name).cast("long"), F.lit(0).cast("long"))


def _raw_ids() -> tuple[Column, ...]:
    return F.col("enaging_user_id"), F.col("tweet_id"), F.col("engaged_with_user_id")


def _raw_lists() -> dict[str, Column]:
    return {"hashtags": F.col("hashtags"), "links": F.col("present_links"), "domains": F.col("present_domains")}


def _side_columns(side: str, raw: str) -> list[Column]:
    followers = F.col(f"{raw}_follower_count").cast("long")
    following = F.col(f"{raw}_following_count").cast("long")
    return [
        F.col(f"{raw}_is_verified").cast("boolean").alias(f"{side}_is_verified"),
        followers.alias(f"{side}_followers"),
        following.alias(f"{side}_following"),
        (following / (followers.cast("double") + 1.0)).alias(f"{side}_ratio"),
    ]
