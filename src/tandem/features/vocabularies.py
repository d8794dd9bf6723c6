"""Vocabularies of any size: fitted, ordered and joined by Spark, never held by the driver.

All columns are fitted together. Ids count from 1 by descending frequency, ties by value; 0 is unknown or empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.lists import TAB, list_values, value_hash
from tandem.features.vocabulary import BROADCAST_ROWS, UNKNOWN, small

# Spark numbers the rows of a partition from its own number shifted by so many bits.
_PARTITION_BITS = 33


@dataclass(frozen=True)
class VocabularyFacts:
    """What the feature spec says of a vocabulary that lies in a table."""

    size: int
    """Number of ids, the unknown one included."""
    digest: str
    """16 hex digits of its values and their ids."""
    kept: Mapping[str, int]
    """Model -> number of ids, the unknown one included, within that model's frequency limit."""


def fit_vocabularies(
    train: DataFrame,
    columns: Sequence[str],
    *,
    min_count: Mapping[str, int] | None = None,
    model_min_count: Mapping[str, Mapping[str, int]] | None = None,
) -> tuple[DataFrame, dict[str, VocabularyFacts]]:
    """The values of ``columns`` (texts) with their ids: a frame ``name, value, id, count``, and facts of each column.

    ``count`` is the number of rows, or the largest ``<column>_count`` where there is such a column (see
    ``keep_most_frequent``). Values counted fewer than ``min_count[column]`` times have no id. ``model_min_count`` are
    further limits, for the facts: as ids follow the frequency, each is a cut-off on the id.

    The frame is kept until it is unpersisted. Two jobs; what they collect is one row per partition and column.
    """
    counts = _counts(train, columns).where(F.col("count") >= _limits(min_count or {}))
    order = (F.col("name"), F.col("count").desc(), F.col("value"))
    ordered = counts.repartitionByRange(*order).sortWithinPartitions(*order)
    placed = ordered.withColumn("_place", F.monotonically_increasing_id()).persist()
    models = model_min_count or {}
    parts = _parts(placed, models)
    shifts = train.sparkSession.createDataFrame(_shifts(parts))
    numbered = placed.withColumn("part", F.shiftright("_place", _PARTITION_BITS)).join(
        F.broadcast(shifts), ["part", "name"]
    )
    vocabulary = numbered.select("name", "value", (F.col("_place") + F.col("shift")).cast("int").alias("id"), "count")
    return vocabulary, {name: _facts(parts, name, tuple(models)) for name in columns}


def encode_ids(rows: DataFrame, vocabularies: Mapping[str, DataFrame], sizes: Mapping[str, int]) -> DataFrame:
    """The rows with the columns that ``vocabularies`` name replaced by their ids (int); 0 where there is none.

    Values are compared by their 64-bit hash. Vocabularies of up to a million values are broadcast, the larger ones
    joined all at once.
    """
    large = [name for name in vocabularies if sizes[name] > BROADCAST_ROWS]
    for name, vocabulary in vocabularies.items():
        if name not in large:
            ids = F.broadcast(_hashed_ids(name, vocabulary))
            joined = rows.withColumn("hash", value_hash(name, F.col(name))).join(ids, "hash", "left")
            rows = joined.withColumn(name, F.coalesce("id", F.lit(UNKNOWN))).drop("hash", "id")
    return _encode_together(rows, {name: vocabularies[name] for name in large}) if large else rows


def encode_lists(
    rows: DataFrame, vocabularies: Mapping[str, DataFrame], sizes: Mapping[str, int], separator: str = TAB
) -> DataFrame:
    """The same for columns of lists: the most frequent of a list's values that has an id, which is the smallest id.

    One job, that counts the lists with such a value.
    """
    ids = reduce(DataFrame.unionByName, (_hashed_ids(name, frame) for name, frame in vocabularies.items()))
    known = small(ids, sum(sizes[name] for name in vocabularies))
    best = (
        list_values(rows, tuple(vocabularies), separator)
        .join(known, "hash")
        .groupBy("list")
        .agg(F.min("id").alias("id"))
    )
    best = best.persist()
    num_lists = best.count()
    encoded = rows
    for name in vocabularies:
        if num_lists:
            joined = encoded.withColumn("list", value_hash(name, F.col(name))).join(
                small(best, num_lists), "list", "left"
            )
            encoded = joined.withColumn(name, F.coalesce("id", F.lit(UNKNOWN))).drop("list", "id")
        else:
            encoded = encoded.withColumn(name, F.lit(UNKNOWN))
    return encoded


def _hashed_ids(name: str, vocabulary: DataFrame) -> DataFrame:
    return vocabulary.select(value_hash(name, F.col("value")).alias("hash"), "id")


def _encode_together(rows: DataFrame, vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    """All columns by one join of (row, value) with every vocabulary, and one back.

    Rows are known by the hash of the values in question: rows of equal values have equal ids.
    """
    names = tuple(vocabularies)
    keyed = rows.withColumn("row", F.xxhash64(*names))
    entries = F.array(
        *(
            F.struct(F.lit(place).alias("place"), value_hash(name, F.col(name)).alias("hash"))
            for place, name in enumerate(names)
        )
    )
    values = keyed.select("row", F.explode(entries).alias("of")).select("row", "of.*")
    ids = reduce(DataFrame.unionByName, (_hashed_ids(name, frame) for name, frame in vocabularies.items()))
    found = values.join(ids, "hash")
    of_row = found.groupBy("row").agg(
        *(F.max(F.when(F.col("place") == place, F.col("id"))).alias(f"_{name}") for place, name in enumerate(names))
    )
    joined = keyed.join(of_row, "row", "left")
    encoded = joined.withColumns({name: F.coalesce(f"_{name}", F.lit(UNKNOWN)) for name in names})
    return encoded.drop("row", *(f"_{name}" for name in names))


def _counts(train: DataFrame, columns: Sequence[str]) -> DataFrame:
    entries = F.array(*(_entry(train, name) for name in columns))
    values = train.select(F.explode(entries).alias("of")).select("of.*").where(F.col("value") != "")
    count = F.coalesce(F.max("occurrences"), F.count("*")).alias("count")
    return values.groupBy("name", "value").agg(count)


def _entry(train: DataFrame, name: str) -> Column:
    counted = f"{name}_count" in train.columns
    occurrences = (F.col(f"{name}_count") if counted else F.lit(None)).cast("long")
    return F.struct(
        F.lit(name).alias("name"), F.col(name).cast("string").alias("value"), occurrences.alias("occurrences")
    )


def _limits(min_count: Mapping[str, int]) -> Column:
    limit = F.lit(1)
    for name, least in min_count.items():
        limit = F.when(F.col("name") == name, least).otherwise(limit)
    return limit


@dataclass(frozen=True)
class _Part:
    """What one partition holds of one column."""

    part: int
    name: str
    first: int
    rows: int
    digest: int
    kept: Mapping[str, int]


def _parts(placed: DataFrame, model_min_count: Mapping[str, Mapping[str, int]]) -> list[_Part]:
    within = {
        model: F.count_if(F.col("count") >= _limits(limits)).cast("long") for model, limits in model_min_count.items()
    }
    found = placed.groupBy(F.shiftright("_place", _PARTITION_BITS).alias("part"), "name").agg(
        F.min("_place").alias("first"),
        F.count("*").alias("rows"),
        F.bit_xor(F.xxhash64("value", "count")).alias("digest"),
        F.struct(*(kept.alias(model) for model, kept in within.items()), F.lit(0).alias("_")).alias("kept"),
    )
    parts = [_Part(**(row.asDict() | {"kept": row["kept"].asDict()})) for row in found.collect()]
    return sorted(parts, key=lambda part: part.part)


def _shifts(parts: Sequence[_Part]) -> pa.Table:
    """``part``, ``name``, and ``shift``, which turns a place in it into an id; from Arrow Spark needs no job."""
    known: dict[str, int] = {}
    shifts = []
    for part in parts:
        before = known.get(part.name, 0)
        shifts.append(before + 1 - part.first)
        known[part.name] = before + part.rows
    columns = {"part": [part.part for part in parts], "name": [part.name for part in parts], "shift": shifts}
    return pa.table(columns, pa.schema({"part": pa.int64(), "name": pa.string(), "shift": pa.int64()}))


def _facts(parts: Sequence[_Part], name: str, models: Sequence[str]) -> VocabularyFacts:
    own = [part for part in parts if part.name == name]
    return VocabularyFacts(
        size=1 + sum(part.rows for part in own),
        digest=f"{reduce(xor, (part.digest for part in own), 0) % 2**64:016x}",
        kept={model: 1 + sum(part.kept[model] for part in own) for model in models},
    )
