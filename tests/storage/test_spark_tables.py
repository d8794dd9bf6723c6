"""Spark writes by its own connector, Arrow reads over the network; see tests/support/s3.py for what stands for S3A."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from s3 import S3Server, lead_spark
from tandem.batches.columns import read_column_rows
from tandem.batches.row_blocks import RowBlocks, split_held_out
from tandem.batches.rows import EpochKey
from tandem.batches.shards import count_rows, read_columns
from tandem.batches.stream_sizes import Shard, StreamSizes
from tandem.batches.streaming import StreamedRows
from tandem.datasets import InteractionTablesDataset, ParquetFolderDataset, RecSys2021Dataset, VocabulariesDataset
from tandem.datasets.user_errors import DatasetUserError
from tandem.sources.synthetic_movielens import write_synthetic_movielens
from tandem.storage import tables
from tandem.storage.locations import RemotePath
from tandem.storage.tables import new_files


def test_a_table_of_spark_is_read_by_spark_arrow_and_ranks(spark: SparkSession, s3: S3Server) -> None:
    folder = s3.bucket() / "05_model_input" / "train.parquet"
    lead_spark(spark, s3, folder)
    frame = spark.range(10).selectExpr("cast(id as int) as a", "cast(id / 2 as float) as b").repartition(3, "a")
    saved = ParquetFolderDataset(str(folder))
    saved.save(frame)
    assert saved.exists()
    assert sorted(row["a"] for row in saved.load().collect()) == list(range(10))
    assert ParquetFolderDataset(str(folder), load_as="arrow").load().num_rows == 10
    path = ParquetFolderDataset(str(folder), load_as="path").load()
    assert path == folder
    assert count_rows(folder) == 10
    shares = [read_columns(folder, ("a",), rank, 3)["a"] for rank in range(3)]
    assert sorted(value for share in shares for value in share) == list(range(10))


def test_a_failed_job_of_spark_leaves_the_table_as_it_was(spark: SparkSession, s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    lead_spark(spark, s3, folder)
    saved = ParquetFolderDataset(str(folder))
    saved.save(spark.range(3))
    with pytest.raises(Exception, match="no such row"):
        saved.save(spark.range(5).selectExpr("if(id = 4, raise_error('no such row'), id) as id"))
    assert sorted(row["id"] for row in saved.load().collect()) == [0, 1, 2]


def test_rows_that_are_not_there_replace_no_table(
    spark: SparkSession, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = s3.bucket() / "train.parquet"
    lead_spark(spark, s3, folder)
    saved = ParquetFolderDataset(str(folder))
    saved.save(spark.range(3))
    told = r"train.parquet stays as it was: 6 rows were written, and [1-5] are in"
    with monkeypatch.context() as lost:
        lost.setattr(tables, "new_files", lambda staging: new_files(staging)[1:])
        with pytest.raises(DatasetUserError, match=told):
            saved.save(spark.range(6).repartition(2))
    assert sorted(row["id"] for row in saved.load().collect()) == [0, 1, 2]


def test_vocabularies_are_told_apart_again(spark: SparkSession, s3: S3Server) -> None:
    folder = s3.bucket() / "vocabularies"
    lead_spark(spark, s3, folder)
    entry = VocabulariesDataset(str(folder), ["user", "links"])
    entry.save(
        spark.createDataFrame(
            [("user", "u1", 1, 5), ("user", "u2", 2, 3)], "name string, value string, id int, count long"
        )
    )
    loaded = entry.load()
    assert sorted(map(tuple, loaded["user"].collect())) == [("u1", 1, 5), ("u2", 2, 3)]
    assert loaded["links"].collect() == []


def test_larger_than_memory_rows_are_streamed_as_from_disk(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    table = pa.table({"a": pa.array(range(5000), pa.int32()), "b": pa.array([0.5] * 5000, pa.float32())})
    s3.disk(folder).mkdir()
    pq.write_table(table, s3.disk(folder) / "part-00000.parquet", row_group_size=700)
    s3.look_again()
    sizes = StreamSizes(open_groups=2, block_rows=100, buffer_rows=1000)

    def epoch(place: object) -> list[int]:
        blocks = RowBlocks(Shard(place, ("a",), ("b",), 0, 2), sizes)  # type: ignore[arg-type]
        rows = StreamedRows(split_held_out(blocks, 0.1, 7)[0])
        ints, _ = rows.epoch(EpochKey(7, 0, 0))(slice(0, len(rows)))
        return [int(value) for value in ints[:, 0]]

    assert epoch(folder) == epoch(s3.disk(folder))
    assert len(read_column_rows(folder, ("a",), ("b",), 1, 2)) == 2500


@pytest.fixture
def movielens(spark: SparkSession, s3: S3Server) -> RemotePath:
    folder = s3.bucket() / "ml-100k"
    lead_spark(spark, s3, folder)
    write_synthetic_movielens(s3.disk(folder), users=20, items=30, ratings=200, seed=1)
    s3.look_again()
    return folder


def test_raw_movielens_is_read_from_an_address(movielens: RemotePath, s3: S3Server) -> None:
    raw = InteractionTablesDataset("data", kind="ml-100k", path=str(movielens)).load()
    assert (raw.interactions.count(), raw.users.count(), raw.items.count()) == (200, 20, 30)
    (s3.disk(movielens) / "u.user").write_text("1|no age|M|writer|12345\n")
    s3.look_again()
    with pytest.raises(DatasetUserError, match=rf"^{movielens}/u\.user, row 1: "):
        InteractionTablesDataset("data", kind="ml-100k", path=str(movielens)).load()


def test_what_is_missing_of_raw_data_is_one_line(spark: SparkSession, s3: S3Server) -> None:
    bucket = s3.bucket()
    with pytest.raises(DatasetUserError, match=rf"^no MovieLens data: {bucket}raw does not exist"):
        InteractionTablesDataset("data", kind="ml-100k", path=f"{bucket}raw").load()
    (s3.disk(bucket) / "ml-100k.zip").write_bytes(b"PK")
    s3.look_again()
    with pytest.raises(DatasetUserError, match="a zip is read on this machine only"):
        InteractionTablesDataset("data", kind="ml-100k", path=f"{bucket}ml-100k.zip").load()
    with pytest.raises(DatasetUserError, match=r"^no RecSys Challenge 2021 data: s3://.* does not exist"):
        RecSys2021Dataset("data", kind="files", path=f"{bucket}raw").load()


def test_a_table_that_nobody_made_is_one_line(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    with pytest.raises(DatasetUserError, match=rf"^{folder} does not exist; make it first: run the whole pipeline$"):
        ParquetFolderDataset(str(folder)).load()


def test_a_missing_connector_of_spark_is_one_line(spark: SparkSession, s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    spark._jsc.hadoopConfiguration().set("fs.s3a.impl", "org.apache.hadoop.fs.s3a.S3AFileSystem")
    with pytest.raises(DatasetUserError, match=r"^Spark has no connector for s3a://.*spark\.jars\.packages"):
        ParquetFolderDataset(str(folder)).save(spark.range(1))
