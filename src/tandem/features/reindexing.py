"""Ids to smaller ids: those that training rows hold often, the most popular first, and 0 for all others."""

from pyspark.sql import DataFrame

from tandem.features.spec import RankedVocabularyFeature, Table
from tandem.features.vocabularies import fit_vocabularies


def fit_popularity_index(
    train: DataFrame, column: str, *, table: Table = "pair", min_count: int = 1, path: str | None = None
) -> tuple[RankedVocabularyFeature, DataFrame]:
    """Ids 1, 2, … of the values in at least ``min_count`` rows, by descending number of rows, ties by their text.

    A vocabulary by frequency, named as its column: the feature, and its table of ``value`` (text), ``id`` and
    ``count``. With a ``path`` the table is to be written there, and the feature names it; else the values stand in the
    feature itself. Runs the two jobs of ``fit_vocabularies``, and one more for values in the feature.
    """
    vocabulary, facts = fit_vocabularies(train.select(column), (column,), min_count={column: min_count})
    of_column = vocabulary.drop("name")
    values = None
    if path is None:
        values = tuple(row["value"] for row in of_column.orderBy("id").collect())
    feature = RankedVocabularyFeature(
        name=column,
        table=table,
        column=column,
        size=facts[column].size,
        values=values,
        path=path,
        digest=None if path is None else facts[column].digest,
        min_count=min_count,
    )
    return feature, of_column
