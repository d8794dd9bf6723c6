"""A whole run with its tables on S3 gives what it gives on disk."""

import json

import pytest
from pyspark.sql import SparkSession

from projects import Project
from s3 import S3Server, lead_spark

pytestmark = pytest.mark.slow


def test_ncf_with_its_tables_on_s3_is_the_same_as_on_disk(
    spark: SparkSession, finished: Project, project: Project, s3: S3Server
) -> None:
    bucket = s3.bucket()
    lead_spark(spark, s3, bucket)
    done = project.run("--params", f"tables_path={bucket}tables,distributed.num_ranks=2")
    assert done.code == 0, done.err
    assert not list(project.folder.glob("data/**/*.parquet"))
    assert (s3.disk(bucket) / "tables/05_model_input/ncf/train.parquet/_manifest-000001.json").is_file()
    metrics, history = (
        [json.loads(one.path(f"data/08_reporting/ncf/{name}.json").read_text()) for one in (project, finished)]
        for name in ("metrics", "history")
    )
    assert metrics[0] == metrics[1]
    assert [record["train_loss"] for record in history[0]] == [record["train_loss"] for record in history[1]]


def test_a_run_that_the_storage_refuses_ends_in_one_line(
    spark: SparkSession, project: Project, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = project.run("--params", "tables_path=s3://no-such-bucket/tables")
    assert done.error.startswith("there is no bucket no-such-bucket (s3://no-such-bucket/tables/")
    done = project.run("--params", "tables_path=gs://bucket/tables")
    assert "gs:// is not known" in done.error
