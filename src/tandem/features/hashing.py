"""Values to ids without a vocabulary: 64-bit hashes, folded to a number of buckets."""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.spec import SEPARATOR


def hash_encode(value: Column, buckets: int) -> Column:
    """Int id 1..buckets of any value, by its text's 64-bit hash; 0 for null and the empty text."""
    text = value.cast("string")
    return F.when(text != "", _bucket(text, buckets)).otherwise(F.lit(0)).cast("int")


def cross_hash(parts: Sequence[Column], buckets: int) -> Column:
    """Int id 1..buckets of several values together; a null part counts as an empty text.

    The hash is of the texts joined by ``SEPARATOR``: xxHash64 with seed 42, as Spark's ``xxhash64``.
    """
    texts = [F.coalesce(part.cast("string"), F.lit("")) for part in parts]
    return _bucket(F.concat_ws(SEPARATOR, *texts), buckets).cast("int")


def _bucket(text: Column, buckets: int) -> Column:
    return F.pmod(F.xxhash64(text), F.lit(buckets)) + 1
