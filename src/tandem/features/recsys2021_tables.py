"""Applying the feature spec of RecSys 2021: model input rows, feature tables, and rows for any (user, tweet) pairs."""

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.recsys2021_rows import LISTS
from tandem.features.recsys2021_spec import TWO_TOWER, VOCABULARIES
from tandem.features.spec import CrossFeature, FeatureSpec, RankedVocabularyFeature, Table
from tandem.features.splits import TEST, TRAIN
from tandem.features.vocabularies import encode_ids, encode_lists
from tandem.features.vocabulary import UNKNOWN, encode, missing

KEYS = ("user_id", "tweet_id", "author_id", "tweet_timestamp")
"""Columns of model input rows that no model reads."""


def encode_rows(cleaned: DataFrame, spec: FeatureSpec, vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    """Model input rows of cleaned rows with whole lists: ``KEYS``, ``label``, every feature of the spec; no nulls.

    Args:
        cleaned: of :func:`tandem.features.recsys2021_rows.clean_rows`.
        spec: fitted on the training rows.
        vocabularies: name -> a frame with ``value`` and ``id``.
    """
    return _encoded(_with_list_ids(cleaned, spec, vocabularies), spec, vocabularies).drop("split")


def encode_train_and_test(
    train: DataFrame, test: DataFrame, spec: FeatureSpec, vocabularies: Mapping[str, DataFrame]
) -> DataFrame:
    """The same for training rows, of which each list is one value, and test rows together, told apart by ``split``."""
    of_train = train.withColumns({f"_listed_{name}": F.lit(None).cast("int") for name in LISTS})
    of_test = _with_list_ids(test, spec, vocabularies)
    rows = of_train.select("*", F.lit(TRAIN).alias("split")).unionByName(
        of_test.select("*", F.lit(TEST).alias("split")), allowMissingColumns=True
    )
    return _encoded(rows, spec, vocabularies)


def _with_list_ids(cleaned: DataFrame, spec: FeatureSpec, vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    """The rows with the ids of their lists as ``_listed_<list>``, and no lists."""
    encoded = encode_lists(cleaned, {name: vocabularies[name] for name in LISTS}, spec.sizes)
    ids = {f"_listed_{name}": F.col(name) for name in LISTS}
    return encoded.withColumns(ids).withColumns({name: F.lit(None).cast("string") for name in LISTS})


def _encoded(rows: DataFrame, spec: FeatureSpec, vocabularies: Mapping[str, DataFrame]) -> DataFrame:
    named = rows.withColumns({name: F.col(column) for name, (_, column) in VOCABULARIES.items() if name != column})
    with_ids = encode_ids(named, {name: vocabularies[name] for name in VOCABULARIES}, spec.sizes)
    listed = [F.coalesce(f"_listed_{name}", name).alias(name) for name in LISTS]
    others = [name for name in VOCABULARIES if name not in LISTS]
    plain = [encode(f) for f in spec.features if not isinstance(f, CrossFeature | RankedVocabularyFeature)]
    split = [name for name in ("split",) if name in rows.columns]
    encoded = with_ids.select(*KEYS, "label", *others, *listed, *plain, *split)
    crosses = {f.name: encode(f) for f in spec.features if isinstance(f, CrossFeature)}
    return encoded.select(*KEYS, "label", *(crosses.get(f.name, f.name) for f in spec.features), *split)


def two_tower_rows(rows: DataFrame, spec: FeatureSpec) -> DataFrame:
    """Model input rows with the two-tower's own frequency limits applied, and without crosses."""
    sizes = spec.sizes_of(TWO_TOWER)
    names = [f.name for f in spec.features if not isinstance(f, CrossFeature)]
    return rows.select(
        *KEYS, "label", *(_cut_off(name, sizes[name]) if name in VOCABULARIES else F.col(name) for name in names)
    )


def user_features(rows: DataFrame, spec: FeatureSpec) -> DataFrame:
    """One row per user of model input rows: ``user_id`` and every feature of the user; the newest row wins.

    Rows without a user id are nobody's: they train Wide & Deep, and make no user of their own.
    """
    columns = _names(spec, "user")
    return _placed(rows, "user_id", columns).where("place = 1").select("user_id", *columns)


def item_features(train: DataFrame, test: DataFrame, spec: FeatureSpec) -> DataFrame:
    """One row per tweet of model input rows: ids, every feature of the tweet and its author, and ``popularity``.

    ``popularity`` (long) is the number of positives among the rows ``train``; otherwise the newest row wins. Rows
    without a tweet id make no item: together they would be one, the most popular, that nobody can be shown.
    """
    counted = train.withColumn("positive", F.col("label").cast("long"))
    rows = counted.unionByName(test.withColumn("positive", F.lit(0).cast("long")))
    columns = ["author_id", *_names(spec, "item")]
    placed = _placed(rows, "tweet_id", columns)  # first, so that its order serves the sum, too
    popularity = F.sum("positive").over(_of_key("tweet_id"))
    return placed.withColumn("popularity", popularity).where("place = 1").select("tweet_id", *columns, "popularity")


def pair_rows(pairs: DataFrame, users: DataFrame, items: DataFrame, spec: FeatureSpec) -> DataFrame:
    """Model input rows of any (user, tweet) pairs, from the two feature tables.

    ``pairs`` has ``user_id``, ``tweet_id`` and whatever else shall stay. Columns that belong to the pair itself are
    computed where they are crosses and unknown (0) otherwise, as ``follows`` is. A user or tweet that its table does
    not hold has every feature missing, and id 0; no pair is lost.
    """
    users = users.select("user_id", *_names(spec, "user"))
    items = items.select("tweet_id", "author_id", *_names(spec, "item"))
    joined = pairs.join(users, "user_id", "left").join(items, "tweet_id", "left")
    known = {f.name: f for f in spec.features if not isinstance(f, CrossFeature)}
    filled = {
        name: missing(f) if f.table == "pair" else F.coalesce(F.col(name), missing(f)) for name, f in known.items()
    }
    rows = joined.withColumns({**filled, "author_id": F.coalesce("author_id", F.lit(""))})
    others = [name for name in pairs.columns if name not in ("user_id", "tweet_id")]
    return _with_crosses(rows, spec).select(
        "user_id", "tweet_id", "author_id", *(f.name for f in spec.features), *others
    )


def _names(spec: FeatureSpec, table: Table) -> list[str]:
    return [feature.name for feature in spec.features if feature.table == table]


def _with_crosses(rows: DataFrame, spec: FeatureSpec) -> DataFrame:
    return rows.withColumns({f.name: encode(f) for f in spec.features if isinstance(f, CrossFeature)})


def _cut_off(name: str, size: int) -> Column:
    return F.when(F.col(name) < size, F.col(name)).otherwise(F.lit(UNKNOWN)).cast("int").alias(name)


def _placed(rows: DataFrame, key: str, columns: Sequence[str]) -> DataFrame:
    """The rows with ``place`` among those of their key: 1 is the latest.

    Of several at one time the one with the smallest values, column by column, comes first. Rows without a key, which
    cleaned rows have as the empty text, have no place and are left out.
    """
    latest = _of_key(key).orderBy(F.col("tweet_timestamp").desc(), *columns)
    hashed = rows.where(F.col(key) != "").withColumn("_hash", F.xxhash64(key))
    return hashed.withColumn("place", F.row_number().over(latest))


def _of_key(key: str) -> WindowSpec:
    """Sorting by numbers is faster than by texts: the hash, a column so that two windows share it, goes first."""
    return Window.partitionBy("_hash", key)
