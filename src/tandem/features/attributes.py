"""Attributes of users and items: their columns in the raw tables, whatever these are called, and their encoding."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.spec import AnyFeature, BagFeature, Table, VocabularyFeature
from tandem.features.vocabulary import encode, missing

LARGEST = 1e300
"""Numbers beyond it, such as infinity, are none: their sums and differences would be no numbers."""

LOOKED_UP = 1_000
"""Vocabularies of more values are joined: in an expression each row would pass along all of them."""


@dataclass(frozen=True)
class Recipe:
    """How an attribute is to be encoded, before anything is known of its values.

    name: of the encoded column; table: whose it is; column: in the raw table; kind: ``category``, ``categories`` or
    ``number``; min_count: a category that fewer users (or items) have is unknown.
    """

    name: str
    table: Table
    column: str
    kind: str
    min_count: int = 1


def raw_attributes(raw: DataFrame, sources: Sequence[Recipe] | Sequence[AnyFeature], key: str) -> DataFrame:
    """The columns ``key`` and, named as they will be encoded, the attributes of a raw table of users or items."""
    return raw.select(key, *(_raw_value(one).alias(one.name) for one in sources))


def encoded_attributes(rows: DataFrame, features: Sequence[AnyFeature], key: str) -> DataFrame:
    """The rows, with what ``raw_attributes`` gave in encoded form. ``key`` has no value twice."""
    small = [one for one in features if not _is_large(one)]
    read_in_place = {one.name: encode(one.model_copy(update={"column": one.name})) for one in small}
    rows = rows.withColumns(read_in_place)
    for feature in features:
        if isinstance(feature, VocabularyFeature) and _is_large(feature):
            rows = _with_id(rows, feature)
        elif isinstance(feature, BagFeature) and _is_large(feature):
            rows = _with_ids(rows, feature, key)
    return rows


def _raw_value(source: Recipe | AnyFeature) -> Column:
    column: str = getattr(source, "column")  # noqa: B009
    value = F.col(f"`{column.replace('`', '``')}`")  # dots and blanks stand for themselves
    is_number = source.kind in ("number", "min_max")
    return F.when(F.abs(value.cast("double")) <= LARGEST, value.cast("double")) if is_number else value


def _is_large(feature: AnyFeature) -> bool:
    return isinstance(feature, VocabularyFeature | BagFeature) and feature.size > LOOKED_UP


def _ids(rows: DataFrame, feature: VocabularyFeature | BagFeature) -> DataFrame:
    values = pa.array(feature.values, pa.string())
    table = pa.table({"_value": values, "_id": pa.array(range(1, feature.size), pa.int32())})
    return F.broadcast(rows.sparkSession.createDataFrame(table))


def _with_id(rows: DataFrame, feature: VocabularyFeature) -> DataFrame:
    joined = rows.withColumn("_value", F.col(feature.name).cast("string")).join(_ids(rows, feature), "_value", "left")
    return joined.withColumn(feature.name, F.coalesce("_id", missing(feature))).drop("_value", "_id")


def _with_ids(rows: DataFrame, feature: BagFeature, key: str) -> DataFrame:
    values = rows.select(key, F.explode(feature.name).alias("_value"))
    found = (
        values.join(_ids(rows, feature), "_value").groupBy(key).agg(F.sort_array(F.collect_set("_id")).alias("_ids"))
    )
    return rows.join(found, key, "left").withColumn(feature.name, F.coalesce("_ids", missing(feature))).drop("_ids")
