"""Nodes of the lists that need both models: candidates by the index, their order by Wide & Deep.

Faiss and Spark are imported by the nodes that run: listing and drawing the graph needs none of it.
"""

import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tandem.parameters import TwoTowerParameters
from tandem.storage.locations import Location

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
else:
    # Kedro resolves all annotations of a node to find the types of its parameters, when Spark is not there yet.
    DataFrame = Any

logger = logging.getLogger(__name__)


def find_recsys2021_candidates(
    model: Path,
    index: Path,
    user_embeddings: Path,
    user_features: Location,
    item_features: Location,
    train: Location,
    test: Location,
    work: Path,
    parameters: TwoTowerParameters,
    seed: int,
) -> Path:
    """The nearest items of the wanted users, popular ones for unknown users; returns the staged folder.

    Nobody gets what it was shown before, in training or test rows, whatever it did with it.
    """
    import pyarrow.parquet as pq

    from tandem.artifacts import read_config
    from tandem.models.two_tower.config import TwoTowerConfig
    from tandem.retrieval.candidates import SCHEMA, CandidateFiles, candidate_tables, choose_users
    from tandem.retrieval.index import load_index

    staging = work / "candidates"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    wanted = choose_users(user_features, parameters.recommendations.users, seed)
    logger.info("Finding %d candidates for each of %s users", parameters.recommendations.candidates, f"{len(wanted):,}")
    files = CandidateFiles(user_embeddings, user_features, item_features, (train, test))
    loaded, fingerprint = (
        load_index(index, len(os.sched_getaffinity(0))),
        read_config(model, TwoTowerConfig).model_fingerprint,
    )
    with pq.ParquetWriter(staging / "part-00000.parquet", SCHEMA) as writer:
        for table in candidate_tables(files, loaded, fingerprint, wanted, parameters.recommendations.candidates):
            writer.write_table(table)
    return staging


def rank_recsys2021_candidates(
    candidates: DataFrame,
    users: DataFrame,
    items: DataFrame,
    spec: dict[str, Any],
    model: Path,
    parameters: TwoTowerParameters,
) -> DataFrame:
    """The best of each user's candidates by Wide & Deep's probability of an engagement.

    ``source`` says who answered: ``model``, or ``popularity`` for a user without an id, whose ``score`` is the item's
    popularity as a share of the most popular one's; ``new_item`` marks items without an id of their own: in no training
    row, or in fewer than ``recsys2021_features.min_count.tweet``.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    from tandem.artifacts import check_trained_on
    from tandem.features.recsys2021_tables import pair_rows
    from tandem.features.spec import FeatureSpec
    from tandem.models.click.config import ClickConfig
    from tandem.pipelines.inference.click_scoring import with_predictions

    check_trained_on(model, ClickConfig, spec["fingerprint"])
    by_model = candidates.where(F.col("source") == "model").select("user_id", "tweet_id", "candidate_rank", "source")
    scored = with_predictions(pair_rows(by_model, users, items, FeatureSpec.from_json(spec)), model)
    best_first = Window.partitionBy("user_id").orderBy(F.desc("prediction"), "candidate_rank")
    ranked = scored.withColumns({"rank": F.row_number().over(best_first), "score": F.col("prediction").cast("double")})
    popular = candidates.where(F.col("source") == "popularity").withColumns(
        {"rank": F.col("candidate_rank"), "score": F.col("candidate_score").cast("double")}
    )
    columns = ("user_id", "tweet_id", "rank", "score", "source")
    lists = ranked.select(*columns).unionByName(popular.select(*columns))
    lists = lists.where(F.col("rank") <= parameters.recommendations.length)
    new = items.where(F.col("tweet") == 0).select("tweet_id", F.lit(True).alias("new_item"))
    marked = lists.join(new, "tweet_id", "left").withColumn("new_item", F.coalesce("new_item", F.lit(False)))
    named = marked.withColumnRenamed("tweet_id", "item_id")
    return named.select("user_id", "item_id", "rank", "score", "source", "new_item").orderBy("user_id", "rank")
