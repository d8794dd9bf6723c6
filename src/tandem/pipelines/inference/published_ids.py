"""Between the numbers that NCF knows users and items by, and the ids of the log that they are from."""

import difflib
from collections.abc import Sequence
from typing import Literal

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.sources.schema import LogSchema

PARAMETER = "ncf.recommend_users"


def wanted_users(users: DataFrame, schema: LogSchema, chosen: Literal["all"] | Sequence[int | str]) -> DataFrame:
    """The user_id of all users, or of those chosen by the ids of the log.

    Raises UserError where ids are whole numbers and a chosen one is not, or are texts and the log has not that one.
    """
    if chosen == "all":
        return users.select("user_id")
    numbers = _numbers_of(users, chosen) if schema.user_ids == "text" else [_whole(one) for one in chosen]
    ids = pa.table({"user_id": pa.array(sorted(set(numbers)), pa.int64())})
    return SparkSession.active().createDataFrame(ids)


def _whole(user: int | str) -> int:
    try:
        return int(user)
    except ValueError:
        raise UserError(f"{PARAMETER}: expected whole numbers, as the log's ids are, found {user!r}") from None


def _numbers_of(users: DataFrame, chosen: Sequence[int | str]) -> list[int]:
    keys = sorted({str(one) for one in chosen})
    found = {row["key"]: int(row["user_id"]) for row in users.where(F.col("key").isin(keys)).collect()}
    unknown = next((key for key in keys if key not in found), None)
    if unknown is not None:
        raise UserError(f"{PARAMETER}: the log has no user {unknown!r}{_like(users, unknown)}")
    return list(found.values())


def _like(users: DataFrame, key: str) -> str:
    """The nearest of those that begin as it does."""
    same = users.where(F.col("key").startswith(key[:1])).select("key").orderBy("key").limit(10_000).toArrow()
    near = difflib.get_close_matches(key, same.column("key").to_pylist(), 3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def in_ids_of_the_log(lists: DataFrame, users: DataFrame, items: DataFrame, schema: LogSchema) -> DataFrame:
    """Lists with user_id and item_id as in the log, texts where they are texts, and the items' ``title``.

    Ordered by user (numbers of texts ascend as these do) and rank.
    """
    titled = lists.join(items.select("item_id", F.col("key").alias("_item"), "title"), "item_id", "left")
    item_id = F.col("_item") if schema.item_ids == "text" else F.col("item_id")
    user_id = F.col("user_id")
    if schema.user_ids == "text":
        titled = titled.join(users.select("user_id", F.col("key").alias("_user")), "user_id", "left")
        user_id = F.col("_user")
    ordered = titled.orderBy("user_id", "rank")
    return ordered.select(user_id.alias("user_id"), item_id.alias("item_id"), "rank", "score", "source", "title")
