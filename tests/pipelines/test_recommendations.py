"""Candidates of the two-tower model in the order of Wide & Deep; a stand-in scores, the rest is real."""

import pytest
from pyspark.sql import functions as F  # noqa: N812

from tandem.artifacts import write_config
from tandem.features.spec import FeatureSpec, RankedVocabularyFeature
from tandem.models.click.config import ClickConfig
from tandem.parameters import ClickParameters, RecommendationParameters, TwoTowerParameters
from tandem.pipelines.inference import click_scoring
from tandem.pipelines.inference.recommendations_nodes import rank_recsys2021_candidates

CANDIDATES = [
    ("anna", "t1", 1, 0.9, "model"),
    ("anna", "t2", 2, 0.8, "model"),
    ("anna", "t3", 3, 0.7, "model"),
    ("ben", "t3", 1, 0.5, "model"),
    ("cold", "t2", 1, 1.0, "popularity"),
    ("cold", "t1", 2, 0.5, "popularity"),
    ("cold", "t3", 3, 0.1, "popularity"),
]


@pytest.fixture
def lists(spark, monkeypatch, tmp_path):
    """Wide & Deep prefers tweets of high ids, and ben above all."""

    def score(rows, model):
        assert model == tmp_path
        return rows.withColumn("prediction", (F.col("tweet") + F.col("user")) / F.lit(10.0))

    monkeypatch.setattr(click_scoring, "with_predictions", score)
    features = tuple(
        RankedVocabularyFeature(name=name, table=table, column=f"{name}_id", size=9, path="p", digest="d")
        for name, table in (("user", "user"), ("tweet", "item"))
    )
    spec = FeatureSpec(num_users=2, num_items=3, num_training_rows=5, features=features)
    config = ClickConfig(tag="wnd", parameters=ClickParameters(), sizes={}, feature_spec_fingerprint=spec.fingerprint)
    write_config(config, tmp_path)
    ranked = rank_recsys2021_candidates(
        spark.createDataFrame(
            CANDIDATES, "user_id string, tweet_id string, candidate_rank int, candidate_score float, source string"
        ),
        spark.createDataFrame([("anna", 1), ("ben", 5), ("cold", 0)], "user_id string, user int"),
        spark.createDataFrame(
            [("t1", "a", 1), ("t2", "a", 2), ("t3", "b", 0)], "tweet_id string, author_id string, tweet int"
        ),
        spec.to_json(),
        tmp_path,
        TwoTowerParameters(recommendations=RecommendationParameters(candidates=3, length=2)),
    )
    return [tuple(row) for row in ranked.collect()]


def test_candidates_are_ranked_by_the_other_model_and_cut_to_the_length(lists):
    assert [row[:3] for row in lists] == [
        ("anna", "t2", 1),
        ("anna", "t1", 2),
        ("ben", "t3", 1),
        ("cold", "t2", 1),
        ("cold", "t1", 2),
    ]
    assert [round(row[3], 3) for row in lists] == [0.3, 0.2, 0.5, 1.0, 0.5]


def test_popular_answers_and_new_items_are_marked(lists):
    assert [row[4] for row in lists] == ["model", "model", "model", "popularity", "popularity"]
    assert [row[5] for row in lists] == [False, False, True, False, False]
