"""A feature spec applied with NumPy and Arrow alone: the same bits as Spark's, for one row or for millions."""

from tandem.features.columnar.encoder import Encoder, encode
from tandem.features.columnar.hashing import cross_hash, hash_encode, seeded_hash, seeded_text_hash
from tandem.features.columnar.lists import split_list
from tandem.features.columnar.rows import RowEncoder
from tandem.features.columnar.sources import Columns
from tandem.features.columnar.tables import Vocabularies

__all__ = [
    "Columns",
    "Encoder",
    "RowEncoder",
    "Vocabularies",
    "cross_hash",
    "encode",
    "hash_encode",
    "seeded_hash",
    "seeded_text_hash",
    "split_list",
]
