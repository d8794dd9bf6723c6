"""Raw rows of the RecSys Challenge 2021 for tests: one by one, or many that recur as real ones do."""

import random
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.datasets.vocabularies import SCHEMA as VOCABULARY_SCHEMA
from tandem.features.recsys2021_rows import clean_rows, with_one_value_per_list
from tandem.features.recsys2021_spec import VOCABULARIES, fit_spec
from tandem.features.recsys2021_tables import encode_train_and_test
from tandem.features.spec import FeatureSpec
from tandem.features.splits import TEST, TRAIN
from tandem.parameters.recsys2021 import RecSys2021FeatureParameters

SCHEMA = """text_tokens string, hashtags string, tweet_id string, present_media string, present_links string,
present_domains string, tweet_type string, language string, tweet_timestamp long, engaged_with_user_id string,
engaged_with_user_follower_count long, engaged_with_user_following_count long, engaged_with_user_is_verified boolean,
engaged_with_user_account_creation long, enaging_user_id string, enaging_user_follower_count long,
enaging_user_following_count long, enaging_user_is_verified boolean, enaging_user_account_creation long,
engagee_follows_engager string, reply_timestamp long, retweet_timestamp long, retweet_with_comment_timestamp long,
like_timestamp long"""
"""The 24 columns in their published order and spelling."""

COLUMNS = [part.split()[0] for part in SCHEMA.split(",")]
PLAIN: dict[str, Any] = {
    "text_tokens": "101\t102",
    "hashtags": "",
    "tweet_id": "T1",
    "present_media": "",
    "present_links": "",
    "present_domains": "",
    "tweet_type": "TopLevel",
    "language": "EN",
    "tweet_timestamp": 1_600_000_000,
    "engaged_with_user_id": "A1",
    "engaged_with_user_follower_count": 10,
    "engaged_with_user_following_count": 5,
    "engaged_with_user_is_verified": False,
    "engaged_with_user_account_creation": 1_500_000_000,
    "enaging_user_id": "U1",
    "enaging_user_follower_count": 3,
    "enaging_user_following_count": 4,
    "enaging_user_is_verified": False,
    "enaging_user_account_creation": 1_500_000_000,
    "engagee_follows_engager": "false",
}


def raw_frame(spark: SparkSession, *rows: dict[str, Any]) -> DataFrame:
    """Rows that are ``PLAIN`` but for what is given."""
    spark.conf.set("spark.sql.constraintPropagation.enabled", "false")  # as in conf/base
    return spark.createDataFrame([[(PLAIN | row).get(name) for name in COLUMNS] for row in rows], SCHEMA)


def random_rows(count: int, seed: int, users: int = 20, tweets: int = 30) -> list[dict[str, Any]]:
    """Rows in which users, tweets, tags, links and domains recur, a few values are missing, and pairs repeat."""
    draw = random.Random(seed)

    def several(prefix: str, most: int, of: int) -> str:
        return "\t".join(f"{prefix}{int(draw.paretovariate(0.8)) % of}" for _ in range(draw.randint(0, most)))

    made = []
    for _ in range(count):
        tweet, user = draw.randrange(tweets), draw.randrange(users)
        made.append(
            {
                "tweet_id": f"T{tweet}",
                "engaged_with_user_id": f"A{tweet % 7}",
                "enaging_user_id": f"U{user}",
                "hashtags": several("#", 4, 12),
                "present_links": several("http://", 2, 9),
                "present_domains": several("www.", 2, 5),
                "present_media": "\t".join(draw.choice(["Photo", "Video", "GIF"]) for _ in range(draw.randrange(4))),
                "tweet_type": draw.choice(["Retweet", "Quote", "TopLevel"]),
                "language": draw.choice(["EN", "JA", "TH", None]),
                "tweet_timestamp": 1_600_000_000 + draw.randrange(1000),
                "enaging_user_follower_count": draw.choice([None, 0, 99, 100, 1_234_567, draw.randrange(5000)]),
                "engaged_with_user_following_count": draw.randrange(5000),
                "engaged_with_user_is_verified": draw.choice([True, False, None]),
                "engagee_follows_engager": draw.choice(["true", "false"]),
                "like_timestamp": draw.choice([None, 1_600_001_000]),
                "reply_timestamp": draw.choice([None, None, None, 1_600_002_000]),
            }
        )
    return made


class Prepared:
    """The whole way from raw rows to encoded ones, in memory; cut off from their plans, as files would."""

    def __init__(self, train: DataFrame, test: DataFrame, **parameters: Any) -> None:
        given = RecSys2021FeatureParameters(**parameters)
        cleaned = with_one_value_per_list(clean_rows(train, given.label), given.min_count.model_dump())
        self.cleaned = cleaned.localCheckpoint()
        self.spec: FeatureSpec
        self.spec, vocabularies = fit_spec(self.cleaned, given)
        self.vocabulary = vocabularies.localCheckpoint()
        columns = [part.split()[0] for part in VOCABULARY_SCHEMA.split(", ")]
        frames = {name: self.vocabulary.where(f"name = '{name}'").select(*columns) for name in VOCABULARIES}
        encoded = encode_train_and_test(self.cleaned, clean_rows(test, given.label), self.spec, frames)
        kept = encoded.localCheckpoint()
        self.train, self.test = (kept.where(F.col("split") == part).drop("split") for part in (TRAIN, TEST))

    def ids(self, name: str) -> dict[str, int]:
        """A vocabulary as value -> id."""
        return {row["value"]: row["id"] for row in self.vocabulary.where(f"name = '{name}'").collect()}
