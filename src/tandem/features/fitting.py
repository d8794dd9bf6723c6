"""Fitting the feature spec of user-item interactions, on training rows alone."""

from collections import defaultdict
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.draws import seeded_hash
from tandem.features.spec import BagFeature, FeatureSpec, MinMaxFeature, VocabularyFeature
from tandem.features.splits import TRAIN
from tandem.features.vocabulary import by_frequency

USER_TABLE = "user_features.parquet"
ITEM_TABLE = "item_features.parquet"


@dataclass
class _Seen:
    """What the training rows hold of one column."""

    counts: dict[str, int] = field(default_factory=dict)
    entities: int = 0
    interactions: int = 0
    digest: str = ""
    rows_digest: str = ""


def fit_feature_spec(
    with_split: DataFrame, users: DataFrame, items: DataFrame, *, min_zip_code_users: int = 1, seed: int = 0
) -> FeatureSpec:
    """The spec of users and items with at least one row whose ``split`` is ``"train"``; other rows are never read.

    - ``user``, ``item``: ids by ascending raw id; their vocabularies are the feature tables, named by ``path``.
    - ``gender``, ``occupation``, ``zip_code`` and the bag ``genres``: ids by frequency over those users or items (not
      over their interactions), ties by value. Zip codes of fewer than ``min_zip_code_users`` users are unknown.
    - ``age``: smallest, largest and mean over those users.

    ``rows_digest`` follows the (user, item) pairs of those rows and the seed: two splits of the same interactions often
    have the same users, items and number of rows, and a model trained on one must not be tested on the other.

    One Spark job; what it collects are the distinct values of these columns.
    """
    seen = _collect_seen(with_split.filter(F.col("split") == TRAIN), users, items, seed)
    ages = [(float(age), count) for age, count in seen["age"].counts.items()]
    known_ages = sum(count for _, count in ages)
    user, item = seen["user"], seen["item"]
    zip_codes = by_frequency(seen["zip_code"].counts, min_zip_code_users)
    genders, occupations = by_frequency(seen["gender"].counts), by_frequency(seen["occupation"].counts)
    genres = by_frequency(seen["genres"].counts)
    return FeatureSpec(
        num_users=user.entities,
        num_items=item.entities,
        num_training_rows=item.interactions,
        rows_digest=item.rows_digest or "0" * 16,
        features=(
            _id_vocabulary("user", user, USER_TABLE),
            _id_vocabulary("item", item, ITEM_TABLE),
            _inline("gender", genders),
            _inline("occupation", occupations),
            _inline("zip_code", zip_codes, min_zip_code_users),
            MinMaxFeature(
                name="age",
                table="user",
                column="age",
                min=min((age for age, _ in ages), default=0.0),
                max=max((age for age, _ in ages), default=0.0),
                mean=sum(age * count for age, count in ages) / max(known_ages, 1),
            ),
            BagFeature(name="genres", table="item", column="genres", size=len(genres) + 1, values=genres),
        ),
    )


def _collect_seen(train: DataFrame, users: DataFrame, items: DataFrame, seed: int) -> dict[str, _Seen]:
    """Distinct values and how many users or items have them, for all columns in one job."""
    pairs = F.bit_xor(seeded_hash(seed, "training rows", F.col("user_id"), F.col("item_id"))).alias("pairs")
    sums = (F.count("*").alias("interactions"), pairs)
    known_users = train.groupBy("user_id").agg(*sums).join(users, "user_id", "left")
    known_items = train.groupBy("item_id").agg(*sums).join(items, "item_id", "left")
    user_values = F.array(
        _tagged("user", F.lit(None)),
        *(_tagged(name, F.col(name)) for name in ("gender", "occupation", "zip_code", "age")),
    )
    item_values = F.concat(
        F.array(_tagged("item", F.lit(None))),
        F.transform(F.coalesce(F.array_distinct("genres"), F.array()), lambda genre: _tagged("genres", genre)),
    )
    values = _exploded(known_users, "user_id", user_values).unionByName(_exploded(known_items, "item_id", item_values))
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for row in values.collect():
        if row["value"] is not None:
            seen[row["name"]].counts[row["value"]] = row["entities"]
        elif row["name"] in ("user", "item"):
            digests = (f"{row[name] % 2**64:016x}" for name in ("digest", "rows_digest"))
            seen[row["name"]] = _Seen({}, row["entities"], row["interactions"], *digests)
    return seen


def _tagged(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("name"), value.cast("string").alias("value"))


def _exploded(known: DataFrame, key: str, values: Column) -> DataFrame:
    rows = known.select(F.xxhash64(key).alias("hash"), "interactions", "pairs", F.explode(values).alias("of"))
    return rows.groupBy("of.name", "of.value").agg(
        F.count("*").alias("entities"),
        F.sum("interactions").alias("interactions"),
        F.bit_xor("hash").alias("digest"),
        F.bit_xor("pairs").alias("rows_digest"),
    )


def _id_vocabulary(name: str, seen: _Seen, path: str) -> VocabularyFeature:
    table = "user" if name == "user" else "item"
    return VocabularyFeature(
        name=name, table=table, column=f"{name}_id", size=seen.entities + 1, path=path, digest=seen.digest or "0" * 16
    )


def _inline(name: str, values: tuple[str, ...], min_count: int = 1) -> VocabularyFeature:
    return VocabularyFeature(
        name=name, table="user", column=name, size=len(values) + 1, values=values, min_count=min_count
    )
