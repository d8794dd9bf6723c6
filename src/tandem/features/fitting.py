"""Fitting the feature spec of user-item interactions, on training rows alone."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features.attribute_names import encoded_names
from tandem.features.attributes import Recipe, raw_attributes
from tandem.features.draws import seeded_hash
from tandem.features.spec import AnyFeature, BagFeature, FeatureSpec, MinMaxFeature, Table, VocabularyFeature
from tandem.features.splits import TRAIN
from tandem.features.vocabulary import by_frequency

USER_TABLE = "user_features.parquet"
ITEM_TABLE = "item_features.parquet"

MAX_VALUES = 100_000
"""Of one attribute: they stand in the spec, which every process reads."""


class AnyAttribute(Protocol):
    """A column of the users' or items' table: ``tandem.sources.schema.Attribute`` is one."""

    @property
    def name(self) -> str:
        """In the table."""

    @property
    def kind(self) -> str:
        """``category``, ``categories`` or ``number``."""

    @property
    def min_count(self) -> int:
        """A category that fewer users (or items) have is unknown."""


@dataclass
class _Seen:
    """What the training rows hold of one column."""

    counts: dict[str, int] = field(default_factory=dict)
    entities: int = 0
    interactions: int = 0
    digest: str = ""
    rows_digest: str = ""


def recipes(users: Sequence[AnyAttribute], items: Sequence[AnyAttribute]) -> tuple[Recipe, ...]:
    """How each attribute of users, then of items, is to be encoded, in their order."""
    names = encoded_names([one.name for one in users], [one.name for one in items])
    sides: tuple[tuple[Table, Sequence[AnyAttribute]], ...] = (("user", users), ("item", items))
    return tuple(
        Recipe(names[side][one.name], side, one.name, one.kind, one.min_count)
        for side, attributes in sides
        for one in attributes
    )


def fit_feature_spec(
    with_split: DataFrame, users: DataFrame, items: DataFrame, attributes: Sequence[Recipe], *, seed: int = 0
) -> FeatureSpec:
    """The spec of users and items with at least one row whose ``split`` is ``"train"``; other rows are never read.

    - ``user``, ``item``: ids by ascending raw id; their vocabularies are the feature tables, named by ``path``.
    - ``category``, ``categories``: ids by frequency over those users or items (not over their interactions), ties by
      value. What fewer than ``min_count`` of them have is unknown.
    - ``number``: smallest, largest and mean over those users or items; 0 where none of them has one.

    ``rows_digest`` follows the (user, item) pairs of those rows and the seed: two splits of the same interactions often
    have the same users, items and number of rows, and a model trained on one must not be tested on the other.

    One Spark job; what it collects are the distinct values of these columns.

    Raises:
        UserError: an attribute has more than ``MAX_VALUES`` categories.
    """
    seen = _collect_seen(with_split.filter(F.col("split") == TRAIN), users, items, attributes, seed)
    user, item = seen["user"], seen["item"]
    return FeatureSpec(
        num_users=user.entities,
        num_items=item.entities,
        num_training_rows=item.interactions,
        rows_digest=item.rows_digest or "0" * 16,
        features=(
            _id_vocabulary("user", user, USER_TABLE),
            _id_vocabulary("item", item, ITEM_TABLE),
            *(_fitted(one, seen[one.name].counts) for one in attributes),
        ),
    )


def _fitted(recipe: Recipe, counts: dict[str, int]) -> AnyFeature:
    name, table, column = recipe.name, recipe.table, recipe.column
    if recipe.kind == "number":
        numbers = {float(value): count for value, count in counts.items()}
        # The exact sum: one that follows the order of the values would follow the partitioning.
        total = math.fsum(value * count for value, count in numbers.items())
        return MinMaxFeature(
            name=name,
            table=table,
            column=column,
            min=min(numbers, default=0.0),
            max=max(numbers, default=0.0),
            mean=total / max(sum(numbers.values()), 1),
        )
    values = by_frequency(counts, recipe.min_count)
    if len(values) > MAX_VALUES:
        raise UserError(_too_many(recipe, len(values)))
    kind = BagFeature if recipe.kind == "categories" else VocabularyFeature
    size, least = len(values) + 1, recipe.min_count
    return kind(name=name, table=table, column=column, size=size, values=values, min_count=least)


def _too_many(recipe: Recipe, found: int) -> str:
    owners = f"at least {recipe.min_count:,} {recipe.table}s each" if recipe.min_count > 1 else "training rows"
    return (
        f"{recipe.table}s: {recipe.column} has {found:,} categories in {owners}, and at most {MAX_VALUES:,} can be "
        "learnt; raise its min_count, or leave it out"
    )


def _collect_seen(
    train: DataFrame, users: DataFrame, items: DataFrame, attributes: Sequence[Recipe], seed: int
) -> dict[str, _Seen]:
    """Distinct values and how many users or items have them, for all columns in one job."""
    pairs = F.bit_xor(seeded_hash(seed, "training rows", F.col("user_id"), F.col("item_id"))).alias("_pairs")
    sums = (F.count("*").alias("_interactions"), pairs)

    def values(side: Table, raw: DataFrame) -> DataFrame:
        key, mine = f"{side}_id", [one for one in attributes if one.table == side]
        known = train.groupBy(key).agg(*sums)
        return _exploded(known.join(raw_attributes(raw, mine, key), key, "left"), side, mine)

    found = values("user", users).unionByName(values("item", items)).toArrow()
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for batch in found.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            if row["value"] is not None:
                seen[row["name"]].counts[row["value"]] = row["entities"]
            elif row["name"] in ("user", "item"):
                digests = (f"{row[name] % 2**64:016x}" for name in ("digest", "rows_digest"))
                seen[row["name"]] = _Seen({}, row["entities"], row["interactions"], *digests)
    return seen


def _exploded(known: DataFrame, side: Table, attributes: Sequence[Recipe]) -> DataFrame:
    """A row for each value of each attribute (named as it is encoded), and one of the side itself, without a value."""
    single = [_tagged(one.name, F.col(one.name)) for one in attributes if one.kind != "categories"]
    several = [_all_tagged(one.name) for one in attributes if one.kind == "categories"]
    values = F.concat(F.array(_tagged(side, F.lit(None)), *single), *several)
    hashed = F.xxhash64(f"{side}_id").alias("_hash")
    rows = known.select(hashed, "_interactions", "_pairs", F.explode(values).alias("of"))
    return rows.groupBy("of.name", "of.value").agg(
        F.count("*").alias("entities"),
        F.sum("_interactions").alias("interactions"),
        F.bit_xor("_hash").alias("digest"),
        F.bit_xor("_pairs").alias("rows_digest"),
    )


def _all_tagged(name: str) -> Column:
    return F.transform(F.coalesce(F.array_distinct(name), F.array()), lambda value: _tagged(name, value))


def _tagged(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("name"), value.cast("string").alias("value"))


def _id_vocabulary(name: str, seen: _Seen, path: str) -> VocabularyFeature:
    table: Table = "user" if name == "user" else "item"
    return VocabularyFeature(
        name=name, table=table, column=f"{name}_id", size=seen.entities + 1, path=path, digest=seen.digest or "0" * 16
    )
