"""Applying a feature spec: the feature tables, and rows joined to them."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.attributes import encoded_attributes, raw_attributes
from tandem.features.spec import FeatureSpec, Table
from tandem.features.splits import TRAIN
from tandem.features.vocabulary import UNKNOWN, missing, number_ids, small


def model_input_columns(spec: FeatureSpec) -> tuple[str, ...]:
    """The columns of processed training and test rows, in their order; ``validation`` follows."""
    features = (*spec.side_features("user"), *spec.side_features("item"))
    return ("user_id", "item_id", "user", "item", "label", *(one.name for one in features), "timestamp")


def user_features(with_split: DataFrame, users: DataFrame, spec: FeatureSpec) -> DataFrame:
    """One row per user with a training interaction: user int (1..U), user_id, and its encoded attributes."""
    train = with_split.filter(F.col("split") == TRAIN)
    return _encoded(number_ids(train, "user_id", "user"), users, spec, "user")


def item_features(with_split: DataFrame, items: DataFrame, spec: FeatureSpec) -> DataFrame:
    """One row per item with a training interaction.

    Columns item int (1..I), item_id, its encoded attributes, title, popularity long (its training interactions).
    """
    train = with_split.filter(F.col("split") == TRAIN)
    counts = train.groupBy("item_id").agg(F.count("*").alias("popularity"))
    numbered = small(number_ids(counts, "item_id", "item"), spec.num_items)
    known = counts.join(numbered, "item_id").join(items.select("item_id", "title"), "item_id", "left")
    encoded = _encoded(known, items, spec, "item")
    return encoded.select("item", "item_id", *(f.name for f in spec.side_features("item")), "title", "popularity")


def _encoded(known: DataFrame, raw: DataFrame, spec: FeatureSpec, table: Table) -> DataFrame:
    """Known users or items with their encoded attributes, in the spec's order."""
    key, features = f"{table}_id", spec.side_features(table)
    joined = known.join(raw_attributes(raw, features, key), key, "left")
    encoded = encoded_attributes(joined, features, key)
    names = [one.name for one in features]
    return encoded.select(table, key, *names, *(name for name in known.columns if name not in (table, key)))


def encode_rows(
    rows: DataFrame,
    user_table: DataFrame,
    item_table: DataFrame,
    spec: FeatureSpec,
    *,
    users: DataFrame | None = None,
    items: DataFrame | None = None,
) -> DataFrame:
    """Any (user_id, item_id) rows with the encoded ids and side features: what a model takes.

    A user or item that is not in its feature table (``user_features``, ``item_features``) has id 0; its side features
    are encoded from the raw table ``users`` or ``items`` where that is given and holds it, and are those of missing
    values otherwise. No row is lost. Columns are ordered as ``model_input_columns``, as far as ``rows`` has them
    (label, timestamp); further columns of ``rows`` follow. Training rows hold known ids alone and need no raw tables.
    """
    sides_of_user = small(_sides(user_table, users, spec, "user"), spec.num_users)
    sides_of_item = small(_sides(item_table, items, spec, "item"), spec.num_items)
    joined = rows.join(sides_of_user, "user_id", "left").join(sides_of_item, "item_id", "left")
    filled = {f.name: F.coalesce(F.col(f.name), missing(f)) for f in spec.features if f.name not in ("user", "item")}
    ids = {name: F.coalesce(F.col(name), F.lit(UNKNOWN)) for name in ("user", "item")}
    complete = joined.withColumns(filled | ids)
    first = [name for name in model_input_columns(spec) if name in complete.columns]
    return complete.select(*first, *(name for name in rows.columns if name not in first))


def _sides(known: DataFrame, raw: DataFrame | None, spec: FeatureSpec, table: Table) -> DataFrame:
    """Id and side features of the known users (or items), and with id 0 of those that only the raw table has."""
    key, features = f"{table}_id", spec.side_features(table)
    known = known.select(table, key, *(f.name for f in features))
    if raw is None:
        return known
    unseen = raw_attributes(raw, features, key).join(known.select(key), key, "left_anti")
    encoded = encoded_attributes(unseen, features, key).withColumn(table, F.lit(UNKNOWN).cast("int"))
    return known.unionByName(encoded.select(*known.columns))
