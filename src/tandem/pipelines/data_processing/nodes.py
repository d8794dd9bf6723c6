"""Nodes of the data processing: the library's functions on the catalog's tables.

Spark, and what imports it, is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tandem.errors import UserError
from tandem.parameters import CleaningParameters, NCFParameters

if TYPE_CHECKING:
    from pyarrow import Table
    from pyspark.sql import DataFrame

    from tandem.sources.schema import InteractionTables
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = InteractionTables = Table = Any

logger = logging.getLogger(__name__)

SAMPLED_NEGATIVES = 99


def clean_interactions(
    raw: InteractionTables,
    parameters: CleaningParameters,
    data: str,
    tables: dict[str, Any] | None,
    movielens: str,
    movielens_path: str | None,
) -> tuple[DataFrame, DataFrame, DataFrame, dict[str, Any], dict[str, Any]]:
    """Interactions, users, items, what these have, and the account of what was found in the raw tables."""
    from tandem.evaluation.facts import interaction_facts
    from tandem.sources import interactions as library

    interactions, quality = library.clean_interactions(raw, parameters.orphans)
    logger.info("Interactions: %s", quality.summary())
    facts = interaction_facts(data, tables, movielens, movielens_path)
    return interactions, raw.users, raw.items, raw.schema.to_json(), asdict(quality) | {"data": facts}


def split_interactions(
    interactions: DataFrame, schema: dict[str, Any], parameters: NCFParameters, seed: int
) -> DataFrame:
    """Interactions with the column ``split``: train, validation (held out of the training rows) or test."""
    from tandem.features.splits import split_interactions, validation_split

    if parameters.split == "temporal" and not schema["has_time"]:
        raise UserError("ncf.split: temporal needs times, and the log has none; use random, leave_one_out or given")
    rows = split_interactions(interactions, parameters.split, parameters.test_fraction, seed)
    if parameters.validation_fraction > 0.0:
        rows = validation_split(rows, parameters.split, parameters.validation_fraction, seed)
    return rows


def fit_ncf_features(
    interactions: DataFrame,
    users: DataFrame,
    items: DataFrame,
    schema: dict[str, Any],
    parameters: NCFParameters,
    seed: int,
) -> tuple[dict[str, Any], DataFrame, DataFrame]:
    """The feature spec, fitted on training rows alone, and the feature tables of the users and items in them."""
    from tandem.features.fitting import fit_feature_spec, recipes
    from tandem.features.splits import check_parts
    from tandem.features.tables import item_features, user_features
    from tandem.sources.schema import LogSchema

    check_parts(interactions, parameters.split, validated=parameters.early_stopping is not None)
    training = _with_validation_in_train(interactions)
    log = LogSchema.from_json(schema)
    attributes = recipes(log.user_attributes, log.item_attributes)
    spec = fit_feature_spec(training, users, items, attributes, seed=seed)
    if spec.num_training_rows == 0:
        raise UserError(f"ncf.split: {parameters.split} leaves no training rows; use more data or another split")
    return spec.to_json(), user_features(training, users, spec), item_features(training, items, spec)


def make_ncf_rows(
    interactions: DataFrame,
    spec: dict[str, Any],
    user_table: DataFrame,
    item_table: DataFrame,
    users: DataFrame,
    items: DataFrame,
    parameters: NCFParameters,
    seed: int,
) -> tuple[DataFrame, DataFrame]:
    """Training and test rows: positives and stored negatives, encoded, in a seeded order.

    Both have the same columns, so that a model can learn all of them; no test row is a ``validation`` row.
    """
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.features.layout import shuffled
    from tandem.features.negatives import add_negatives
    from tandem.features.spec import FeatureSpec
    from tandem.features.splits import TEST, VALIDATION
    from tandem.features.tables import encode_rows

    rows = add_negatives(interactions, item_table, parameters.negatives_per_positive, seed).cache()
    fitted, is_test = FeatureSpec.from_json(spec), F.col("split") == TEST
    validation = (F.col("split") == VALIDATION).cast("int")
    train = rows.where(~is_test).withColumn("validation", validation).drop("split")
    test = rows.where(is_test).withColumn("validation", F.lit(0)).drop("split")
    return (
        shuffled(encode_rows(train, user_table, item_table, fitted), seed),
        shuffled(encode_rows(test, user_table, item_table, fitted, users=users, items=items), seed),
    )


def draw_test_candidates(
    interactions: DataFrame, user_table: DataFrame, item_table: DataFrame, parameters: NCFParameters, seed: int
) -> DataFrame | Table:
    """Each test positive with 99 negatives, for leave_one_out; no rows for the other splits."""
    if parameters.split != "leave_one_out":
        return _no_candidates()
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.features.negatives import sample_test_candidates
    from tandem.features.splits import TEST

    tested = interactions.where(F.col("split") == TEST)
    rows = sample_test_candidates(tested, interactions, item_table, SAMPLED_NEGATIVES, seed)
    known = rows.join(user_table.select("user_id", "user"), "user_id", "left")
    known = known.join(item_table.select("item_id", "item"), "item_id", "left")
    return known.select(
        F.coalesce("user", F.lit(0)).alias("user"),
        F.coalesce("item", F.lit(0)).alias("item"),
        "user_id",
        "item_id",
        "label",
    ).orderBy("user_id", "item_id")


def _no_candidates() -> Table:
    """An Arrow table: Spark would take seconds for an empty one."""
    import pyarrow as pa

    types = {"user": pa.int32(), "item": pa.int32(), "user_id": pa.int64(), "item_id": pa.int64(), "label": pa.int32()}
    return pa.schema(types.items()).empty_table()


def _with_validation_in_train(interactions: DataFrame) -> DataFrame:
    """What is held out of the training rows for validation is still training data to everything that is fitted."""
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.features.splits import TRAIN, VALIDATION

    is_validation = F.col("split") == VALIDATION
    return interactions.withColumn("split", F.when(is_validation, TRAIN).otherwise(F.col("split")))
