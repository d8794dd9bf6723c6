"""Generated rows in which nothing comes twice: every id, link and tag is its own, every value and label a coin flip.

The marginals of the generator that the reference system is measured with (sizes of lists, ranges of numbers), for
measuring speed and memory at their worst: there is nothing to learn.
"""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.recsys2021_format import ENGAGEMENTS, NAMES
from tandem.sources.synthetic_recsys2021_draws import Draws

ENGAGED_RATE = 1.0 - 0.5 ** len(ENGAGEMENTS)

_FIRST_SECOND, _LAST_SECOND = 946_656_000, 1_609_430_400
_LANGUAGES = 65
_MOST = {"hashtags": 50, "present_links": 10, "present_domains": 10}


class Unique:
    """The rows of one size and seed."""

    def __init__(self, spark: SparkSession, rows: int, seed: int, partitions: int) -> None:
        """Args: partitions: of the result; they change no row."""
        self._numbers = spark.range(0, rows, 1, partitions).withColumnRenamed("id", "_row")
        self._draws = Draws(seed)

    def rows(self) -> DataFrame:
        """The 24 columns in their order, then ``_row``, the number of a row."""
        row, draws = F.col("_row"), self._draws
        columns = {
            "text_tokens": self._list("token", 1, 10, lambda place: draws.below(1000, "token", row, place) + 1),
            "tweet_id": draws.identifier("tweet", row),
            "present_media": self._list("media", 0, 9, self._medium),
            "tweet_type": _pick(("Retweet", "Quote", "TopLevel"), draws.below(3, "type", row)),
            "language": draws.identifier("language", draws.below(_LANGUAGES, "language", row)),
            "tweet_timestamp": self._time("tweet_timestamp"),
            "engagee_follows_engager": self._coin("engagee_follows_engager").cast("string"),
        }
        columns |= {name: self._identifiers(name, most) for name, most in _MOST.items()}
        for person in ("engaged_with_user", "enaging_user"):
            columns[f"{person}_id"] = draws.identifier(person, row)
            for count in (f"{person}_follower_count", f"{person}_following_count"):
                columns[count] = draws.below(10_001, count, row)
            columns[f"{person}_is_verified"] = self._coin(f"{person}_is_verified")
            columns[f"{person}_account_creation"] = self._time(f"{person}_account_creation")
        for name in ENGAGEMENTS:
            columns[name] = F.when(self._happened(name), self._time(name))
        return self._numbers.select(*[columns[name].alias(name) for name in NAMES], "_row")

    def truth(self) -> DataFrame:
        """``_row``, the ``probability`` of any engagement, and whether there is one: ``engaged``."""
        engaged = F.greatest(*[self._happened(name) for name in ENGAGEMENTS])
        return self._numbers.select("_row", F.lit(ENGAGED_RATE).alias("probability"), engaged.alias("engaged"))

    def _happened(self, name: str) -> Column:
        return self._coin(f"{name} happened")

    def _coin(self, name: str) -> Column:
        return self._draws.bits(name, F.col("_row")) > 0

    def _time(self, name: str) -> Column:
        return self._draws.below(_LAST_SECOND - _FIRST_SECOND, name, F.col("_row")) + _FIRST_SECOND

    def _medium(self, place: Column) -> Column:
        return _pick(("Photo", "Video", "GIF"), self._draws.below(3, "medium", F.col("_row"), place))

    def _identifiers(self, name: str, most: int) -> Column:
        return self._list(name, 0, most, lambda place: self._draws.identifier(name, F.col("_row"), place))

    def _list(self, name: str, least: int, most: int, value: Callable[[Column], Column]) -> Column:
        """Least to most values, joined by tabs."""
        count = self._draws.below(most - least + 1, f"number of {name}", F.col("_row")) + least
        places = F.when(count > 0, F.sequence(F.lit(1).cast("long"), count)).otherwise(F.array().cast("array<bigint>"))
        return F.array_join(F.transform(places, lambda place: value(place).cast("string")), "\t")


def _pick(values: tuple[str, ...], number: Column) -> Column:
    return F.get(F.array(*map(F.lit, values)), number.cast("int"))
