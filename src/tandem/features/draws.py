"""Random numbers that belong to a row, not to the partition it happens to lie in."""

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812


def seeded_hash(seed: int, purpose: str, *keys: Column) -> Column:
    """A 64-bit draw (long, both signs) for each row, from ``seed`` and the row's ``keys``.

    ``purpose`` keeps the draws of two uses of one seed independent of each other. Integer keys are hashed as longs:
    Spark's ``xxhash64`` gives an int and a long of the same value different hashes. Texts are for ``seeded_text_hash``.
    """
    return F.xxhash64(F.lit(seed).cast("long"), F.lit(purpose), *(key.cast("long") for key in keys))


def seeded_text_hash(seed: int, purpose: str, *keys: Column) -> Column:
    """The same for keys that are texts, such as the ids of users and tweets; other keys are hashed as their texts."""
    return F.xxhash64(F.lit(seed).cast("long"), F.lit(purpose), *(key.cast("string") for key in keys))
