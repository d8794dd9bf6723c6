"""Columns that hold a list of values as one text: split, counted, and reduced to the most frequent value.

Separators are texts, not patterns. What stands between two of them, or after the last, and is empty is no value.

Values and lists are known by a 64-bit hash, never by a row number, so that nothing here depends on where a row lies.
Among 20 million distinct values two share their hash with a chance of 1 in 90,000; they would then share a count.
"""

import re
from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.vocabulary import small

TAB = "\t"

# A task counts its values in memory, and values that occur once take three times what they take in a file.
_BYTES_PER_COUNTING_TASK = 32 << 20
# Of rows that come from no file Spark takes the size for endless, and the product of sizes for that of a join.
_UNKNOWN_BYTES = 1 << 40
_COUNTING_TASKS = 32


def split_list(text: Column, separator: str = TAB) -> Column:
    """The values of a text such as ``"a\\tb"``: array<string>, empty for null and the empty text."""
    # No branches: Spark then splits once for all that is asked of a list in one query. Java splits at one character
    # without a regular expression, escaped or not.
    return F.array_remove(F.split(F.coalesce(text, F.lit("")), re.escape(separator)), "")


def list_length(text: Column, separator: str = TAB) -> Column:
    """How many values the text holds, int; 0 for null and the empty text."""
    return F.size(split_list(text, separator))


def smallest(text: Column, separator: str = TAB) -> Column:
    """The smallest value of the text; null where it holds none."""
    return F.array_min(split_list(text, separator))


def value_hash(column: str, value: Column) -> Column:
    """What a value of a column is known by in joins, by its text as vocabularies hold it: long."""
    return F.xxhash64(F.lit(column), value.cast("string"))


def list_values(rows: DataFrame, columns: Sequence[str], separator: str = TAB) -> DataFrame:
    """Each value of each list: ``list`` and ``hash`` (of list and value, in their column), ``value``."""
    # One pass over the rows for all columns: to read them again for each costs more than the values do.
    lists = F.array(*(F.struct(F.lit(name).alias("column"), F.col(name).alias("text")) for name in columns))
    texts = rows.select(F.explode(lists).alias("of")).select("of.column", "of.text").where(F.col("text") != "")
    values = texts.select(
        "column",
        F.xxhash64("column", "text").alias("list"),
        F.explode(split_list(F.col("text"), separator)).alias("value"),
    )
    return values.select("list", F.xxhash64("column", "value").alias("hash"), "value")


def count_values(rows: DataFrame, columns: Sequence[str], *, min_count: int = 1, separator: str = TAB) -> DataFrame:
    """How often each value occurs in list columns: ``hash`` (see :func:`value_hash`) and ``occurrences``, both long.

    Values of fewer than ``min_count`` occurrences are left out.
    """
    hashes = list_values(rows, columns, separator).select("hash")
    # Most values are rare: to count within each task first, and add up then, would hold every one of them twice.
    together = hashes.repartition(_counting_tasks(rows), "hash")
    counts = together.groupBy("hash").agg(F.count("*").alias("occurrences"))
    return counts.where(F.col("occurrences") >= min_count)


def keep_most_frequent(
    rows: DataFrame,
    columns: Sequence[str],
    *,
    min_count: Mapping[str, int],
    separator: str = TAB,
    lists: DataFrame | None = None,
) -> DataFrame:
    """The rows with one value left of each list column, and ``<column>_count``, its occurrences in all ``rows``.

    The value that occurs most often in the column, ties broken by the smaller one; null where the list is empty or
    no value of it occurs at least ``min_count[column]`` times (1 where nothing is given). Two jobs, that count.

    ``lists`` may be the same columns of the same rows, had in another way: the jobs read these, and never ``rows``.
    """
    lists = rows if lists is None else lists
    # A value that occurs once wins against no other by its count: only those that recur need to be joined.
    recurring = count_values(lists, columns, min_count=2, separator=separator).persist()
    num_recurring = recurring.count()
    if num_recurring:
        best = _best_of_lists(lists, columns, small(recurring, num_recurring), separator).persist()
        joined = _with_best(rows, columns, small(best, best.count()))
    else:
        nothing = F.lit(None).cast("struct<order: bigint, value: string>")
        joined = rows.withColumns({f"_best_{name}": nothing for name in columns})
    limits = {name: min_count.get(name, 1) for name in columns}
    chosen = {name: column for name in columns for name, column in _choice(name, limits[name], separator).items()}
    return joined.select(
        *(chosen.pop(name).alias(name) if name in columns else F.col(name) for name in rows.columns),
        *(column.alias(name) for name, column in chosen.items()),
    )


def _with_best(rows: DataFrame, columns: Sequence[str], best: DataFrame) -> DataFrame:
    joined = rows.withColumns({f"_list_{name}": value_hash(name, F.col(name)) for name in columns})
    for name in columns:
        of_list = best.select(F.col("list").alias(f"_list_{name}"), F.col("best").alias(f"_best_{name}"))
        joined = joined.join(of_list, f"_list_{name}", "left")
    return joined


def _best_of_lists(rows: DataFrame, columns: Sequence[str], recurring: DataFrame, separator: str) -> DataFrame:
    """``list`` (hash) and ``best`` (count negated, value) of the lists that hold a recurring value."""
    known = list_values(rows, columns, separator).join(recurring, "hash")
    order = F.struct((-F.col("occurrences")).alias("order"), F.col("value"))
    return known.groupBy("list").agg(F.min(order).alias("best"))


def _choice(name: str, limit: int, separator: str) -> dict[str, Column]:
    """The value and its count. Without a recurring value each occurs once: the smallest of them, if that is enough."""
    best, order = F.col(f"_best_{name}.value"), F.col(f"_best_{name}.order")
    if limit <= 1:
        value = F.coalesce(best, smallest(F.col(name), separator))
        count = F.when(value.isNotNull(), F.coalesce(-order, F.lit(1)))
    else:
        value, count = F.when(-order >= limit, best), F.when(-order >= limit, -order)
    return {name: value, f"{name}_count": count.cast("long")}


def _counting_tasks(rows: DataFrame) -> int:
    size = int(str(rows._jdf.queryExecution().analyzed().stats().sizeInBytes()))
    tasks = -(-size // _BYTES_PER_COUNTING_TASK) if size < _UNKNOWN_BYTES else _COUNTING_TASKS
    cores = rows.sparkSession.sparkContext.defaultParallelism
    rounds = -(-max(tasks, int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 0)) // cores)
    return rounds * cores
