"""Ids to smaller ids: those that training rows hold often, the most popular first, and 0 for all others."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.vocabularies import encode_ids, fit_vocabularies


@dataclass(frozen=True)
class PopularityIndex:
    """New ids of a column's values.

    Attributes:
        column: the column.
        size: number of new ids, 0 included: the rows of an embedding table.
        table: a frame with ``value`` (text), ``id`` and ``count``; the part that is saved as Parquet.
    """

    column: str
    size: int
    table: DataFrame

    def apply(self, rows: DataFrame) -> DataFrame:
        """The rows with the column replaced by its new ids (int); 0 for null and for what the index does not hold."""
        texts = rows.withColumn(self.column, F.col(self.column).cast("string"))
        return encode_ids(texts, {self.column: self.table}, {self.column: self.size})


def fit_popularity_index(train: DataFrame, column: str, *, min_count: int = 1) -> PopularityIndex:
    """Ids 1, 2, … of the values in at least ``min_count`` rows, by descending number of rows, ties by their text.

    Runs the two jobs of ``fit_vocabularies``.
    """
    vocabulary, facts = fit_vocabularies(train.select(column), (column,), min_count={column: min_count})
    return PopularityIndex(column, facts[column].size, vocabulary.drop("name"))
