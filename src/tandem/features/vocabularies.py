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

# Of sort keys: counts up to 100 are one character, larger ones 15 digits.
_SMALL_COUNT = 100
_LAST_CHARACTER = 126
_DIGITS = 15
_TOO_MANY = 10**_DIGITS

# Spark numbers the rows of a partition from its own number shifted by so many bits.
_PARTITION_BITS = 33

# Of the partitions in which all values are sorted: small enough to keep all cores busy, few enough to be found fast.
_SAMPLED = 8192
_VALUES_PER_PART = 1 << 18
_MOST_PARTS = 64


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

    The frame reads what is kept until it is unpersisted. Two jobs: a sample of the values (a few thousand, which the
    driver sees) gives the bounds of partitions of their order; then the values in each are counted. The bounds follow
    from the values alone, so that files of them are the same every time.
    """
    counts = _counts(train, columns).where(F.col("count") >= _limits(columns, min_count or {}))
    keyed = counts.select(_sort_key().alias("key"), "place", "count").persist()  # to be sampled, counted and sorted
    bounds = _bounds(keyed)
    placed = keyed.withColumn("part", _part(bounds))
    models = model_min_count or {}
    parts = _parts(placed, columns, models)
    ordered = placed.repartitionById(len(bounds) + 1, "part").sortWithinPartitions("key")
    shifts = F.broadcast(train.sparkSession.createDataFrame(_shifts(parts)))
    numbered = ordered.withColumn("_row", F.monotonically_increasing_id()).join(shifts, ["part", "place"])
    names = F.element_at(F.array(*map(F.lit, columns)), F.col("place") + 1)
    identifier = (F.col("_row") + F.col("shift")).cast("int")
    vocabulary = numbered.select(names.alias("name"), _value().alias("value"), identifier.alias("id"), "count")
    return vocabulary, {name: _facts(parts, place, tuple(models)) for place, name in enumerate(columns)}


def encode_ids(rows: DataFrame, vocabularies: Mapping[str, DataFrame], sizes: Mapping[str, int]) -> DataFrame:
    """The rows with the columns that ``vocabularies`` name replaced by their ids (int); 0 where there is none.

    Values are compared by their 64-bit hash. Vocabularies of up to a million values are broadcast, the larger ones
    joined all at once.
    """
    large = [name for name in vocabularies if sizes[name] > BROADCAST_ROWS]
    few = [name for name in vocabularies if name not in large]
    if large:
        rows = _encode_together(rows, {name: vocabularies[name] for name in large})
    joined = rows.withColumns({f"_hash_{name}": value_hash(name, F.col(name)) for name in few})
    for name in few:
        joined = joined.join(F.broadcast(_hashed_ids(name, vocabularies[name])), f"_hash_{name}", "left")
    ids = {name: F.coalesce(f"_id_{name}", F.lit(UNKNOWN)).alias(name) for name in few}
    return joined.select(*(ids.get(name, F.col(name)) for name in rows.columns))


def encode_lists(
    rows: DataFrame, vocabularies: Mapping[str, DataFrame], sizes: Mapping[str, int], separator: str = TAB
) -> DataFrame:
    """The same for columns of lists: the most frequent of a list's values that has an id, which is the smallest id.

    One job, that counts the lists with such a value.
    """
    names = tuple(vocabularies)
    known = small(_all_ids(vocabularies), sum(sizes[name] for name in names))
    found = list_values(rows, names, separator).join(known, "hash")
    best = found.groupBy("list").agg(F.min("id").alias("id")).persist()
    num_lists = best.count()
    if not num_lists:
        return rows.withColumns({name: F.lit(UNKNOWN) for name in names})
    joined = rows.withColumns({f"_list_{name}": value_hash(name, F.col(name)) for name in names})
    for name in names:
        of_list = best.select(F.col("list").alias(f"_list_{name}"), F.col("id").alias(f"_id_{name}"))
        joined = joined.join(small(of_list, num_lists), f"_list_{name}", "left")
    ids = {name: F.coalesce(f"_id_{name}", F.lit(UNKNOWN)).alias(name) for name in names}
    return joined.select(*(ids.get(name, F.col(name)) for name in rows.columns))


def _hashed_ids(name: str, vocabulary: DataFrame) -> DataFrame:
    return vocabulary.select(value_hash(name, F.col("value")).alias(f"_hash_{name}"), F.col("id").alias(f"_id_{name}"))


def _all_ids(vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    frames = (_hashed_ids(name, frame).toDF("hash", "id") for name, frame in vocabularies.items())
    return reduce(DataFrame.unionByName, frames)


def _encode_together(rows: DataFrame, vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    """All columns by one join of (row, value) with every vocabulary, and one back.

    Rows are known by the hash of the values in question: rows of equal values have equal ids.
    """
    names = tuple(vocabularies)
    keyed = rows.withColumn("_row", F.xxhash64(*names))
    entries = F.array(
        *(
            F.struct(F.lit(place).alias("place"), value_hash(name, F.col(name)).alias("hash"))
            for place, name in enumerate(names)
        )
    )
    values = keyed.select("_row", F.explode(entries).alias("of")).select("_row", "of.*")
    found = values.join(_all_ids(vocabularies), "hash")
    of_row = found.groupBy("_row").agg(
        *(F.max(F.when(F.col("place") == place, F.col("id"))).alias(f"_id_{name}") for place, name in enumerate(names))
    )
    joined = keyed.join(of_row, "_row", "left")
    ids = {name: F.coalesce(f"_id_{name}", F.lit(UNKNOWN)).alias(name) for name in names}
    return joined.select(*(ids.get(name, F.col(name)) for name in rows.columns))


def _counts(train: DataFrame, columns: Sequence[str]) -> DataFrame:
    """``place`` (of the column in ``columns``), ``value``, ``count``."""
    entries = F.array(*(_entry(train, place, name) for place, name in enumerate(columns)))
    values = train.select(F.explode(entries).alias("of")).select("of.*").where(F.col("value") != "")
    count = F.coalesce(F.max("occurrences"), F.count("*")).alias("count")
    return values.groupBy("place", "value").agg(count)


def _entry(train: DataFrame, place: int, name: str) -> Column:
    counted = f"{name}_count" in train.columns
    occurrences = (F.col(f"{name}_count") if counted else F.lit(None)).cast("long")
    return F.struct(
        F.lit(place).alias("place"), F.col(name).cast("string").alias("value"), occurrences.alias("occurrences")
    )


def _sort_key() -> Column:
    """One text that sorts by place, descending count and value.

    Spark compares the first eight bytes of it as one number: small counts, which most values have, take one byte, and
    leave six to the value. Larger ones follow a byte that is smaller than all of those.
    """
    small_count = F.chr(F.lit(_LAST_CHARACTER) - F.col("count"))
    large_count = F.concat(F.chr(F.lit(1)), F.lpad((F.lit(_TOO_MANY) - F.col("count")).cast("string"), _DIGITS, "0"))
    count = F.when(F.col("count") <= _SMALL_COUNT, small_count).otherwise(large_count)
    return F.concat(F.chr(F.col("place") + 1), count, F.col("value"))


def _value() -> Column:
    """The value at the end of a sort key."""
    after_small, after_large = F.substr("key", F.lit(3)), F.substr("key", F.lit(3 + _DIGITS))
    return F.when(F.col("count") <= _SMALL_COUNT, after_small).otherwise(after_large)


def _limits(columns: Sequence[str], min_count: Mapping[str, int]) -> Column:
    limits = F.array(*(F.lit(min_count.get(name, 1)) for name in columns))
    return F.element_at(limits, F.col("place") + 1)


def _bounds(keyed: DataFrame) -> list[str]:
    """The keys at which a new partition begins, ascending; none where one partition is enough.

    The values of the smallest hashes are a sample that does not depend on where a row lies, and how small they are says
    how many values there are (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream", algorithm 1).
    """
    hashed = keyed.select("key", F.xxhash64("key").alias("hash")).orderBy("hash", "key").limit(_SAMPLED).collect()
    values = float(len(hashed))
    if len(hashed) == _SAMPLED:
        values *= 2.0**64 / (hashed[-1]["hash"] + 2**63 + 1)
    parts = min(_MOST_PARTS, max(1, round(values / _VALUES_PER_PART)))
    keys = sorted(row["key"].encode() for row in hashed)  # as Spark compares texts
    return [keys[len(keys) * part // parts].decode() for part in range(1, parts)]


def _part(bounds: Sequence[str], first: int = 0) -> Column:
    """The number of the partition of a key, counted from ``first``; found by halving."""
    if not bounds:
        return F.lit(first)
    middle = len(bounds) // 2
    before, after = _part(bounds[:middle], first), _part(bounds[middle + 1 :], first + middle + 1)
    return F.when(F.col("key") < bounds[middle], before).otherwise(after)


@dataclass(frozen=True)
class _Part:
    """What one partition holds of one column."""

    part: int
    place: int
    rows: int
    digest: int
    kept: Mapping[str, int]


def _parts(placed: DataFrame, columns: Sequence[str], model_min_count: Mapping[str, Mapping[str, int]]) -> list[_Part]:
    """In the order of the rows: by partition, and by column in each."""
    within = [
        F.count_if(F.col("count") >= _limits(columns, limits)).alias(model) for model, limits in model_min_count.items()
    ]
    found = placed.groupBy("part", "place").agg(
        F.count("*").alias("rows"), F.bit_xor(F.xxhash64("key")).alias("digest"), *within
    )
    parts = []
    for row in found.collect():
        content = row.asDict()
        kept = {model: content.pop(model) for model in model_min_count}
        parts.append(_Part(**content, kept=kept))
    return sorted(parts, key=lambda part: (part.part, part.place))


def _shifts(parts: Sequence[_Part]) -> pa.Table:
    """``part``, ``place``, and ``shift``, which turns a row's number into an id; from Arrow Spark needs no job."""
    ids: dict[int, int] = {}
    rows: dict[int, int] = {}
    shifts = []
    for part in parts:
        known, first = ids.get(part.place, 0), rows.get(part.part, 0)
        shifts.append(known + 1 - first - (part.part << _PARTITION_BITS))
        ids[part.place], rows[part.part] = known + part.rows, first + part.rows
    columns = {"part": [part.part for part in parts], "place": [part.place for part in parts], "shift": shifts}
    return pa.table(columns, pa.schema({"part": pa.int32(), "place": pa.int32(), "shift": pa.int64()}))


def _facts(parts: Sequence[_Part], place: int, models: Sequence[str]) -> VocabularyFacts:
    own = [part for part in parts if part.place == place]
    return VocabularyFacts(
        size=1 + sum(part.rows for part in own),
        digest=f"{reduce(xor, (part.digest for part in own), 0) % 2**64:016x}",
        kept={model: 1 + sum(part.kept[model] for part in own) for model in models},
    )
