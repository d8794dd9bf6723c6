"""Folders may have any name: what is a pattern, an escape or a separator to Spark, MPI or a shell is a letter here."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from projects import Project

pytestmark = pytest.mark.slow

ODD = "a [1] {2,3} #4: %205 Füße, 日本"


def test_the_whole_of_ncf_runs_in_folders_of_any_name(spark: SparkSession, tmp_path: Path) -> None:
    project = Project.create(tmp_path / ODD / "project")
    done = project.run("--params", "distributed.num_ranks=2")
    assert done.code == 0, done.err
    assert project.path("data/08_reporting/ncf/metrics.json").is_file()
    assert list(project.path("data/07_model_output/ncf").glob("*.parquet/*.parquet"))

    generated = next(project.path("data/01_raw/movielens").iterdir())
    raw = generated.rename(tmp_path / "raw [1] {2} #3 %204")  # without a comma, which would end the parameter
    parameters = f"movielens=ml-100k,movielens_path={raw},tables_path={tmp_path}/tables [1]"
    done = project.run("--to-nodes", "split_interactions", "--params", parameters)
    assert done.code == 0, done.err
    assert (tmp_path / "tables [1]").is_dir()


def test_rows_for_wide_and_deep_are_made_in_folders_of_any_name(spark: SparkSession, tmp_path: Path) -> None:
    project = Project.create(tmp_path / ODD.replace(":", "") / "project 2")
    done = project.run("--pipelines", "data_processing", tags="recsys2021")
    assert done.code == 0, done.err
    assert list(project.path("data/05_model_input").glob("*/*.parquet/*.parquet"))
