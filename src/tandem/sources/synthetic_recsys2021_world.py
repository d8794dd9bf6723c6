"""Who meets which tweet in the generated challenge, and what all of them are: users, tweets, authors, tags, links.

Everything is a function of the seed and a number, so nothing is kept and nothing is joined. A number's remainder by the
number of topics is its topic, its quotient its rank within the topic: a small rank is met often. Users come back, with
a long tail, and mostly meet tweets of two topics of theirs; an author, a tag and a link mostly stay with one topic.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.synthetic_recsys2021_draws import Draws, long_tail, lookup

FIRST_SECOND = 1_612_396_800  # 2021-02-04, the first day of the challenge's data
DAYS = 21
LANGUAGES = 66
DIMENSIONS = 4

_MOST_TOPICS = 64
_USER_OFFSET_SHARE = 0.02
_TWEET_OFFSET = 8.0
_AUTHOR_OFFSET = 8.0
_TAG_OFFSET = 2.0
_FEWEST_TAGS = 8
_COMPANIONS = 4
# Of the tweets that a user meets: 0.65 to 0.85 are of the first topic, then 0.15 of the second, the rest of any.
_FIRST_TOPIC, _SECOND_TOPIC = (0.65, 0.2), 0.15
# Of an author's tweets, a topic's tags and links: how many are of its own topic.
_FAITHFUL = 0.9


@dataclass(frozen=True)
class Sizes:
    """How many of each there are; all but ``users`` and ``domains`` come as many for every topic."""

    rows: int
    topics: int
    users: int
    authors: int
    tweets: int
    tags: int
    links: int
    domains: int

    @classmethod
    def of(cls, rows: int) -> "Sizes":
        """What grows with the rows: each user is met in 50 of them, a tweet in 20, an author in 100, on average."""
        topics = min(_MOST_TOPICS, max(2, rows // 2_000))

        def per_topic(count: int) -> int:
            return topics * max(2, round(count / topics))

        return cls(
            rows=rows,
            topics=topics,
            users=max(2, rows // 50),
            authors=per_topic(rows // 100),
            tweets=per_topic(rows // 20),
            tags=per_topic(max(rows // 500, _FEWEST_TAGS * topics)),
            links=per_topic(rows // 100),
            domains=max(8, rows // 2000),
        )


class World:
    """The functions that say what a number means; ``sizes`` and ``seed`` fix them all."""

    def __init__(self, sizes: Sizes, seed: int) -> None:
        """Args: sizes: see :class:`Sizes`; seed: of every draw."""
        self.sizes = sizes
        self.draws = Draws(seed)
        self.topic_vectors = _topic_vectors(sizes.topics, seed)
        self._user_offset = max(1.0, _USER_OFFSET_SHARE * sizes.users)

    def share(self, row: Column) -> Column:
        """A quantile for each row's number from 0: evenly spread and, by a modular multiplication, scattered."""
        rows = self.sizes.rows
        return (F.pmod(row * F.lit(_coprime(rows)).cast("long"), F.lit(rows).cast("long")) + 0.5) / rows

    def user(self, share: Column) -> Column:
        """Who meets the tweet of a row. So each user gets exactly the rows that the long tail gives its rank."""
        return long_tail(share, self.sizes.users, self._user_offset)

    def place_among_own(self, share: Column, user: Column) -> Column:
        """Where a row's share lies between those of the user's first and last row: 0 to 1."""
        offset = self._user_offset
        scale = math.log((self.sizes.users + offset) / offset)
        start, end = (F.log((user + step + offset) / offset) / scale for step in (0, 1))
        # Rounding may reach over the edges.
        return F.greatest(F.lit(0.0), F.least(F.lit(1.0), (share - start) / (end - start)))

    def place(self, place: Column, user: Column) -> Column:
        """A place among the user's rows as a quantile of what he meets: evenly spread, so that few pairs repeat."""
        turned = place + self.draws.uniform("phase of a user", user)
        return F.when(turned < 1.0, turned).otherwise(turned - 1.0)

    def lean(self, user: Column) -> Column:
        """The share of his first topic in what a user meets."""
        return _FIRST_TOPIC[0] + _FIRST_TOPIC[1] * self.draws.uniform("lean of a user", user)

    def tweet(self, user: Column, quantile: Column, lean: Column, row: Column) -> Column:
        """The tweet of a row: by topic, then by rank within it."""
        topics, other = self.sizes.topics, lean + _SECOND_TOPIC
        topic = (
            F.when(quantile < lean, self.first_topic(user))
            .when(quantile < other, self.second_topic(user))
            .otherwise(self.draws.below(topics, "topic of a stray row", row))
        )
        within = (
            F.when(quantile < lean, quantile / lean)
            .when(quantile < other, (quantile - lean) / _SECOND_TOPIC)
            .otherwise((quantile - other) / (1.0 - other))
        )
        return long_tail(within, self.sizes.tweets // topics, _TWEET_OFFSET) * topics + topic

    def first_topic(self, user: Column) -> Column:
        """The topic that most of a user's tweets are of."""
        return self.draws.below(self.sizes.topics, "first topic", user)

    def second_topic(self, user: Column) -> Column:
        """The next one; it may be the same."""
        return self.draws.below(self.sizes.topics, "second topic", user)

    def topic(self, number: Column) -> Column:
        """Of a tweet, an author, a tag or a link."""
        return F.pmod(number, F.lit(self.sizes.topics).cast("long"))

    def author(self, tweet: Column) -> Column:
        """Who wrote a tweet."""
        return self._of_topic("author", tweet, self.sizes.authors, _AUTHOR_OFFSET)

    def tag(self, tweet: Column) -> Column:
        """The most frequent tag of a tweet, whether it shows it or not."""
        return self._of_topic("tag", tweet, self.sizes.tags, _TAG_OFFSET)

    def companion(self, tag: Column, tweet: Column, place: int) -> Column:
        """The second or third tag (place 1 or 2) of a tweet: it comes with no other first tag, so is less frequent."""
        return tag * (3 * _COMPANIONS) + place * _COMPANIONS + self.draws.below(_COMPANIONS, f"tag {place}", tweet)

    def link(self, tweet: Column, place: int) -> Column:
        """The first or second link (place 0 or 1) of a tweet."""
        return self._of_topic(f"link {place}", tweet, self.sizes.links, _AUTHOR_OFFSET)

    def domain(self, link: Column) -> Column:
        """Where a link leads."""
        return long_tail(self.draws.uniform("domain", link), self.sizes.domains, 1.0)

    def language(self, author: Column) -> Column:
        """What an author writes in: mostly the language of his topic."""
        own = F.when(self.draws.uniform("faith in a language", author) < _FAITHFUL, self.topic(author) + (1 << 40))
        # Topics and authors draw from one function, by numbers that never meet.
        return long_tail(self.draws.uniform("language", F.coalesce(own, author)), LANGUAGES, 0.7)

    def day(self, time: Column) -> Column:
        """The day of a tweet, 0 to 20, by its time."""
        return F.floor((time - FIRST_SECOND) / 86_400)

    def tweet_time(self, tweet: Column) -> Column:
        """When a tweet was written, in seconds since 1970."""
        return self.draws.below(DAYS * 86_400, "time of a tweet", tweet) + FIRST_SECOND

    def topic_vector(self, topic: Column) -> list[Column]:
        """The topic's place in the space of tastes, one column for each dimension."""
        return [lookup(values, topic) for values in self.topic_vectors.T.tolist()]

    def _of_topic(self, what: str, tweet: Column, count: int, offset: float) -> Column:
        draws, topics = self.draws, self.sizes.topics
        rank = long_tail(draws.uniform(f"{what} of a tweet", tweet), count // topics, offset)
        stray = draws.below(topics, f"topic of a stray {what}", tweet)
        faithful = draws.uniform(f"faith of a tweet's {what}", tweet) < _FAITHFUL
        return rank * topics + F.when(faithful, self.topic(tweet)).otherwise(stray)


def _topic_vectors(topics: int, seed: int) -> NDArray[np.float64]:
    """(topics, DIMENSIONS), each dimension with mean 0 and variance 1."""
    vectors = np.random.default_rng(np.random.SeedSequence([abs(seed), 2021])).standard_normal((topics, DIMENSIONS))
    centred: NDArray[np.float64] = vectors - vectors.mean(axis=0)
    spread: NDArray[np.float64] = np.maximum(centred.std(axis=0), 1e-9)
    return np.divide(centred, spread)


def _coprime(rows: int) -> int:
    """A multiplier near the golden section of ``rows`` that shares no factor with it."""
    candidate = max(1, round(rows * 0.618_033_988_75))
    while math.gcd(candidate, rows) != 1:
        candidate += 1
    return candidate
