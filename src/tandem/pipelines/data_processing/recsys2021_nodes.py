"""Nodes of the RecSys 2021 data processing: the library's functions on the catalog's tables.

Spark, and what imports it, is imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
from typing import TYPE_CHECKING, Any

from tandem.parameters import RecSys2021FeatureParameters

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tandem.sources.recsys2021 import RawRecSys2021
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = RawRecSys2021 = Any

logger = logging.getLogger(__name__)

FOLDER = "data/01_raw/recsys2021"


def clean_recsys2021(raw: RawRecSys2021, parameters: RecSys2021FeatureParameters) -> tuple[DataFrame, DataFrame]:
    """Training rows with one value left of each list, and test rows with whole lists."""
    from tandem.features.recsys2021_rows import clean_rows, lists_of, with_one_value_per_list

    train = clean_rows(raw.unchecked_train, parameters.label)
    test = clean_rows(raw.test, parameters.label)
    # The lists are counted now, and every row is checked in that pass: those that are written later need it no more.
    return with_one_value_per_list(train, parameters.min_count.model_dump(), lists_of(raw.train)), test


def fit_recsys2021_features(
    train: DataFrame, parameters: RecSys2021FeatureParameters
) -> tuple[dict[str, Any], DataFrame]:
    """The feature spec, fitted on training rows alone, and its vocabularies."""
    from tandem.features.recsys2021_spec import TWO_TOWER, empty_vocabularies, fit_spec

    spec, vocabularies = fit_spec(train, parameters)
    for model, key in ((None, "min_count"), (TWO_TOWER, "two_tower_min_count")):
        for name in empty_vocabularies(spec, model):
            logger.warning("recsys2021_features.%s.%s: no value is that frequent: all are unknown (id 0)", key, name)
    return spec.to_json(), vocabularies


def make_recsys2021_rows(
    train: DataFrame,
    test: DataFrame,
    spec: dict[str, Any],
    vocabularies: dict[str, DataFrame],
    parameters: RecSys2021FeatureParameters,
    seed: int,
) -> tuple[DataFrame, DataFrame, DataFrame, DataFrame]:
    """Training and test rows of Wide & Deep and of the two-tower model, encoded, in a seeded order."""
    from tandem.features.layout import shuffled_texts
    from tandem.features.recsys2021_tables import encode_train_and_test, two_tower_rows
    from tandem.features.spec import FeatureSpec
    from tandem.features.splits import TEST, TRAIN

    train.sparkSession.catalog.clearCache()  # what earlier nodes kept is in files by now
    fitted = FeatureSpec.from_json(spec)
    encoded = encode_train_and_test(train, test, fitted, vocabularies)
    rows = shuffled_texts(encoded, seed, ("user_id", "tweet_id"), parameters.num_files).persist()
    of_train, of_test = (rows.where(rows["split"] == part).drop("split") for part in (TRAIN, TEST))
    return of_train, of_test, two_tower_rows(of_train, fitted), two_tower_rows(of_test, fitted)


def make_recsys2021_tables(train: DataFrame, test: DataFrame, spec: dict[str, Any]) -> tuple[DataFrame, DataFrame]:
    """The features of every user and every tweet, as their newest row has them."""
    from tandem.features.recsys2021_tables import item_features, user_features
    from tandem.features.spec import FeatureSpec

    fitted = FeatureSpec.from_json(spec)
    return user_features(train.unionByName(test), fitted), item_features(train, test, fitted)


def report_recsys2021_quality(
    raw: RawRecSys2021,
    train: DataFrame,
    test: DataFrame,
    encoded_test: DataFrame,
    parameters: RecSys2021FeatureParameters,
    recsys2021: str,
    recsys2021_path: str | None,
) -> dict[str, Any]:
    """What the rows are like: how many, labels, unknown values of the test rows, times in the future, duplicates; and
    where they are from.

    ``best_auc`` is None where it is not known, as for one kind of engagement: generated rows tell that of any.
    """
    from tandem.evaluation.facts import source_facts
    from tandem.features.recsys2021_quality import data_quality, summary, with_files

    best_auc = raw.best_auc if parameters.label == "any" else None
    read = {name: (half.files, half.rows) for name, half in raw.read.items()}
    found = with_files(data_quality(train, test, encoded_test), read, raw.all_kept)
    quality = {**found, "best_auc": best_auc}
    logger.info("RecSys 2021: %s", summary(quality))
    return quality | {"data": source_facts(recsys2021, recsys2021_path, FOLDER)}
