"""Where the numbers of a lookup feature stand: in the feature itself, or in a table that it names."""

from collections.abc import Iterable
from typing import TypedDict

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.features.numbers import finite


class LookupPlace(TypedDict):
    """Fields of a feature: its values and numbers, or a path and the digest of what lies there."""

    values: tuple[str, ...] | None
    numbers: tuple[float, ...] | None
    path: str | None
    digest: str | None


def in_the_feature(found: Iterable[tuple[str, float]], column: str) -> LookupPlace:
    """The fields for values and their numbers, values ascending.

    Raises:
        UserError: numbers are infinite, as ``column``, which they are of, has such values.
    """
    pairs = sorted(found)
    numbers = tuple(finite(number, column) for _, number in pairs)
    return {"values": tuple(value for value, _ in pairs), "numbers": numbers, "path": None, "digest": None}


def in_a_table(table: DataFrame, path: str) -> LookupPlace:
    """The fields for a table of ``value`` and ``number`` that is to be written at a path; one job."""
    (row,) = table.agg(F.bit_xor(F.xxhash64("value", "number")).alias("digest")).collect()
    return {"values": None, "numbers": None, "path": path, "digest": f"{(row['digest'] or 0) % 2**64:016x}"}
