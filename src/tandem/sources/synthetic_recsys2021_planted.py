"""Generated rows with a planted signal: the probability of an engagement is a known function of user, author and tweet.

The logit is a sum of an intercept, an effect of each user, author and tag, how well the user's taste fits the tweet
(a product of latent vectors: a user's is near that of his first topic, a tweet's is mostly its author's topic's), and
a weak part that the side features tell.
"""

import math
from functools import reduce
from itertools import accumulate
from operator import add

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.recsys2021_format import NAMES
from tandem.sources.synthetic_recsys2021_draws import logit
from tandem.sources.synthetic_recsys2021_world import DIMENSIONS, Sizes, World

INTERCEPT = -1.0
USER_EFFECT = 0.9
AUTHOR_EFFECT = 0.75
TAG_EFFECT = 0.6
TASTE = 0.55
SIDE = 0.8

# Shares of the tweets, and what each adds to the logit.
MEDIA = (
    ("", 0.52, -0.12),
    ("Photo", 0.24, 0.15),
    ("Video", 0.08, 0.35),
    ("GIF", 0.05, 0.0),
    ("Photo\tPhoto", 0.05, 0.25),
    ("Photo\tPhoto\tPhoto", 0.02, 0.3),
    ("Photo\tPhoto\tPhoto\tPhoto", 0.02, 0.3),
    ("Photo\tVideo", 0.01, 0.3),
    ("Video\tGIF", 0.01, 0.1),
)
TYPES = (("TopLevel", 0.5, 0.15), ("Retweet", 0.35, -0.2), ("Quote", 0.15, 0.0))
TAG_COUNTS = ((0, 0.3), (1, 0.4), (2, 0.2), (3, 0.1))
LINK_COUNTS = ((0, 0.7), (1, 0.25), (2, 0.05))
ENGAGEMENT_SHARES = (("like", 0.8), ("retweet", 0.12), ("reply", 0.05), ("retweet_with_comment", 0.03))


# The rate of engagements that the planted function has, for the coin flips of noise.
NOISE_RATE = 0.41


class Planted:
    """The planted rows of one size and seed."""

    def __init__(self, spark: SparkSession, rows: int, seed: int, partitions: int, *, noise: bool = False) -> None:
        """Args: noise: labels are coin flips at about the same rate; all else is the same."""
        self._spark = spark
        self._partitions = partitions
        self._noise = noise
        self.world = World(Sizes.of(rows), seed)

    def rows(self) -> DataFrame:
        """The 24 columns in their order, then ``_row``, the number of a row."""
        rows = self._decided()
        columns = {**self._tweet_columns(), **self._people_columns(), **self._engagement_columns()}
        return rows.select(*[columns[name].alias(name) for name in NAMES], "_row")

    def truth(self) -> DataFrame:
        """``_row``, the ``probability`` of any engagement, and whether there is one: ``engaged``."""
        return self._decided().select("_row", "probability", "engaged")

    def _decided(self) -> DataFrame:
        """The numbers behind a row, the probability, and the outcome. Each step's columns are computed once."""
        world, draws = self.world, self.world.draws
        row = F.col("_row")
        rows = self._spark.range(0, world.sizes.rows, 1, self._partitions).withColumnRenamed("id", "_row")
        user, place = world.user_and_place(row)
        rows = rows.select("*", user.alias("user"))
        rows = rows.select("*", world.tweet(F.col("user"), place, row).alias("tweet"))
        tweet = F.col("tweet")
        rows = rows.select(
            "*",
            world.author(tweet).alias("author"),
            world.tag(tweet).alias("tag"),
            _choose(TAG_COUNTS, draws.uniform("number of tags", tweet)).alias("tags"),
            _choose(tuple((name, share) for name, share, _ in MEDIA), draws.uniform("media", tweet)).alias("media"),
            _choose(tuple((name, share) for name, share, _ in TYPES), draws.uniform("type", tweet)).alias("type"),
        )
        author = F.col("author")
        rows = rows.select(
            "*",
            world.language(author).alias("spoken"),
            (draws.uniform("author's fame", author)).alias("author_fame"),
            (draws.uniform("following", F.col("user"), author) < 0.35).alias("follows"),
            world.day(tweet).alias("day"),
        )
        rows = rows.select("*", self._probability().alias("probability"))
        return rows.select("*", (draws.uniform("outcome", row) < F.col("probability")).alias("engaged"))

    def _probability(self) -> Column:
        if self._noise:
            return F.lit(NOISE_RATE)
        draws = self.world.draws
        user, author, tag = F.col("user"), F.col("author"), F.col("tag")
        effects = (
            F.lit(INTERCEPT),
            USER_EFFECT * draws.bell("effect of a user", user),
            AUTHOR_EFFECT * draws.bell("effect of an author", author),
            F.when(F.col("tags") > 0, TAG_EFFECT * draws.bell("effect of a tag", tag)).otherwise(0.0),
            TASTE * self._fit(user, author, tag),
            SIDE * self._side(),
        )
        return 1.0 / (1.0 + F.exp(-reduce(add, effects)))

    def _fit(self, user: Column, author: Column, tag: Column) -> Column:
        """How well a user's latent taste fits a tweet: a scalar product of about unit variance."""
        world, draws = self.world, self.world.draws
        first = world.topic_vector(world.first_topic(user))
        written = world.topic_vector(world.topic(author))
        tagged = world.topic_vector(world.topic(tag))
        products = []
        for place in range(DIMENSIONS):
            taste = 0.6 * first[place] + 0.8 * draws.bell(f"taste {place}", user)
            tweet = 0.8 * written[place] + 0.3 * draws.bell(f"style {place}", author)
            tweet += F.when(F.col("tags") > 0, 0.4 * tagged[place]).otherwise(0.0)
            products.append(taste * tweet)
        return reduce(add, products) / math.sqrt(DIMENSIONS)

    def _side(self) -> Column:
        """What media, type, fame, verification and following tell."""
        media = _add({name: effect for name, _, effect in MEDIA}, F.col("media"))
        kind = _add({name: effect for name, _, effect in TYPES}, F.col("type"))
        fame = 0.1 * logit(F.col("author_fame"))
        return media + kind + fame + F.when(F.col("follows"), 0.3).otherwise(-0.15)

    def _tweet_columns(self) -> dict[str, Column]:
        world, draws, tweet = self.world, self.world.draws, F.col("tweet")
        topics, ranks = world.sizes.topics, world.sizes.tags // world.sizes.topics
        rank = F.floor(F.col("tag") / topics)
        tags = []
        for place in range(3):
            # The ones that follow are less frequent, and of the same topic.
            number = F.least(rank + place * 2, F.lit(ranks - 1)) * topics + world.topic(F.col("tag"))
            repeated = (rank + (place - 1) * 2 >= ranks - 1) if place else F.lit(False)
            shown = (F.col("tags") > place) & ~repeated
            tags.append(F.when(shown, draws.identifier("tag", number)))
        number = _choose(LINK_COUNTS, draws.uniform("number of links", tweet))
        links, domains = [], []
        for place in range(2):
            link, shown = world.link(tweet, place), number > place
            links.append(F.when(shown, draws.identifier("link", link)))
            domains.append(F.when(shown, draws.identifier("domain", world.domain(link))))
        words = draws.bits("words of a tweet", tweet)
        tokens = [
            (F.shiftrightunsigned(words, 12 * k).bitwiseAND(F.lit(0xFFF)) + 1000).cast("string") for k in range(5)
        ]
        return {
            "text_tokens": F.concat_ws("\t", F.lit("101"), *(token.cast("string") for token in tokens), F.lit("102")),
            "hashtags": F.concat_ws("\t", *tags),
            "tweet_id": draws.identifier("tweet", tweet),
            "present_media": F.col("media"),
            "present_links": F.concat_ws("\t", *links),
            "present_domains": F.concat_ws("\t", *domains),
            "tweet_type": F.col("type"),
            "language": draws.identifier("language", F.col("spoken")),
            "tweet_timestamp": world.tweet_time(tweet),
        }

    def _people_columns(self) -> dict[str, Column]:
        columns = {"engagee_follows_engager": F.col("follows").cast("string")}
        author, user = F.col("author"), F.col("user")
        for prefix, who, person, fame, usual in (
            ("engaged_with_user", "author", author, F.col("author_fame"), 2_000.0),
            ("enaging_user", "user", user, self.world.draws.uniform("user's fame", user), 250.0),
        ):
            columns |= self._person(prefix, who, person, fame, usual)
        return columns

    def _person(self, prefix: str, who: str, person: Column, fame: Column, usual: float) -> dict[str, Column]:
        """What is told of a person; followers grow by up to a tenth in the three weeks."""
        draws = self.world.draws
        growth = 1.0 + 0.005 * draws.uniform(f"{who}'s growth", person) * F.col("day")
        followers = F.floor(usual * F.exp(1.1 * logit(fame)) * growth)
        following = F.floor(300.0 * F.exp(0.6 * logit(draws.uniform(f"{who}'s interest", person))) * growth)
        verified = fame > draws.uniform(f"{who}'s verification", person) * 0.5 + 0.75
        return {
            f"{prefix}_id": draws.identifier(who, person),
            f"{prefix}_follower_count": F.least(followers, F.lit(120_000_000)),
            f"{prefix}_following_count": F.least(following, F.lit(2_000_000)),
            f"{prefix}_is_verified": verified,
            f"{prefix}_account_creation": draws.below(450_000_000, f"{who}'s beginning", person) + 1_150_000_000,
        }

    def _engagement_columns(self) -> dict[str, Column]:
        """One engagement for certain where there is any, by shares, and each other one now and then."""
        world, row = self.world, F.col("_row")
        main = _choose(ENGAGEMENT_SHARES, world.draws.uniform("kind of engagement", row))
        columns = {}
        for name, share in ENGAGEMENT_SHARES:
            too = world.draws.uniform(f"{name} too", row) < 0.15 * share
            delay = F.floor(-3600.0 * F.log(world.draws.uniform(f"delay of {name}", row))) + 1
            happened = F.col("engaged") & ((main == name) | too)
            columns[f"{name}_timestamp"] = F.when(happened, world.tweet_time(F.col("tweet")) + delay)
        return columns


def _choose(shares: tuple[tuple[object, float], ...], quantile: Column) -> Column:
    """The first of the choices whose cumulative share is above the quantile."""
    bounds = list(accumulate(share for _, share in shares[:-1]))
    choice = F.lit(shares[-1][0])
    for (value, _), bound in reversed(list(zip(shares, bounds, strict=False))):
        choice = F.when(quantile < bound, F.lit(value)).otherwise(choice)
    return choice


def _add(effects: dict[str, float], text: Column) -> Column:
    return reduce(add, [F.when(text == value, effect).otherwise(0.0) for value, effect in effects.items()])
