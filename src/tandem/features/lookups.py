"""Where the numbers of a lookup feature stand: in the feature itself, or in a table that it names."""

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


def lookup_place(table: DataFrame, path: str | None, column: str) -> LookupPlace:
    """The fields for a table of ``value`` and ``number``, values ascending; one job.

    Raises:
        UserError: numbers in the feature are infinite, as ``column``, which they are of, has such values.
    """
    if path is None:
        found = sorted((row["value"], row["number"]) for row in table.select("value", "number").collect())
        values, numbers = tuple(value for value, _ in found), tuple(finite(number, column) for _, number in found)
        return {"values": values, "numbers": numbers, "path": None, "digest": None}
    (row,) = table.agg(F.bit_xor(F.xxhash64("value", "number")).alias("digest")).collect()
    return {"values": None, "numbers": None, "path": path, "digest": f"{(row['digest'] or 0) % 2**64:016x}"}
