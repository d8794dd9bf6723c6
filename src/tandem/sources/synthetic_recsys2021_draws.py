"""Draws for generated rows: functions of a seed, a purpose and a number, in Spark's own expressions.

So a draw belongs to its row, user or tweet: no partitioning, order or repetition changes it. The functions of Spark
that are used here (StrictMath's exp and log) give the same bits on every machine.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TypeVar

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

T = TypeVar("T")


class Draws:
    """Draws of one seed. ``purpose`` and ``numbers`` name the draw: the same names, the same value.

    Numbers are longs: an int of the same value is hashed differently.
    """

    def __init__(self, seed: int) -> None:
        """Args: seed: any long."""
        self._seed = seed

    def bits(self, purpose: str, *numbers: Column) -> Column:
        """A long, all 64 bits random."""
        # A number in the text's place: Spark would hash the text anew in every row.
        key = int.from_bytes(hashlib.blake2b(f"{self._seed} {purpose}".encode(), digest_size=8).digest(), signed=True)
        return F.xxhash64(F.lit(key).cast("long"), *numbers)

    def uniform(self, purpose: str, *numbers: Column) -> Column:
        """A double, strictly between 0 and 1, in steps of 2^-52."""
        return (F.shiftrightunsigned(self.bits(purpose, *numbers), 12) + 0.5) * (2.0**-52)

    def below(self, count: int, purpose: str, *numbers: Column) -> Column:
        """A long from 0 to count - 1."""
        return F.pmod(self.bits(purpose, *numbers), F.lit(count).cast("long"))

    def percent(self, purpose: str, *numbers: Column) -> Column:
        """A long from 0 to 99."""
        return self.below(100, purpose, *numbers)

    def bell(self, purpose: str, *numbers: Column) -> Column:
        """A double with mean 0 and variance 1: logistic, which needs one draw and looks normal enough."""
        return logit(self.uniform(purpose, *numbers)) * (math.sqrt(3.0) / math.pi)

    def identifier(self, purpose: str, *numbers: Column) -> Column:
        """32 characters of 0-9 and A-F, as the published ids are."""
        # With its first bit set a long has sixteen digits, without padding.
        first_bit = F.lit(-(2**63)).cast("long")
        return F.concat(*(F.hex(self.bits(f"{purpose} {half}", *numbers).bitwiseOR(first_bit)) for half in "ab"))


def logit(share: Column) -> Column:
    """The inverse of the logistic function."""
    # Not log(share / (1 - share)): the draw behind the share would be made twice.
    return -F.log(1.0 / share - 1.0)


def lookup(values: Sequence[float] | Sequence[str], index: Column) -> Column:
    """The value (double or string) at an index from 0, of values that are part of the query."""
    texts = (f"'{value}'" if isinstance(value, str) else f"{float(value)!r}D" for value in values)
    # One text: a column for each value would be a call to Java for each.
    return F.get(F.expr(f"array({', '.join(texts)})"), index.cast("int"))


def spread(shares: Sequence[tuple[T, int]]) -> list[T]:
    """Values repeated by their shares in percent, for a draw below 100 to choose from."""
    return [value for value, percent in shares for _ in range(percent)]


def long_tail(quantile: Column, count: int | Column, offset: float) -> Column:
    """A rank from 0 to count - 1, for a quantile in (0, 1): the probability of a rank is about 1 / (rank + offset).

    The inverse of the distribution function log((rank + offset) / offset) / log((count + offset) / offset).
    """
    size = F.lit(count) if isinstance(count, int) else count
    rank = F.floor(offset * (F.exp(quantile * F.log((size + offset) / offset)) - 1.0))
    return F.least(rank, (size - 1).cast("long"))
