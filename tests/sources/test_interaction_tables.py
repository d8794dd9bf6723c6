"""An interaction log in Parquet: what is read of it, and what is said of one that cannot be."""

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from refusals import refuse
from s3 import S3Server
from tandem.errors import UserError
from tandem.sources.interaction_tables import read_interaction_tables
from tandem.sources.interaction_tables_files import locate_interaction_tables
from tandem.storage.locations import location
from tandem.storage.parquet import write_table
from tandem.storage.tables import staged_table

LOG = {"user_id": [7, -3, 7], "item_id": [10, 11, 11], "timestamp": [1000, 1001, 1002]}


def write(folder: Path, **tables: dict[str, Any] | pa.Table) -> Path:
    folder.mkdir(exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), folder / f"{name}.parquet")
    return folder


def rows(spark: SparkSession, folder: Path) -> list[list[tuple[Any, ...]]]:
    raw = read_interaction_tables(spark, folder)
    return [sorted(tuple(row) for row in table.collect()) for table in (raw.ratings, raw.users, raw.items)]


def test_a_log_alone_is_enough(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "a [b] c", interactions=LOG)
    assert rows(spark, folder) == [
        [(-3, 11, 1.0, 1001), (7, 10, 1.0, 1000), (7, 11, 1.0, 1002)],
        [(-3, None, None, None, None), (7, None, None, None, None)],
        [(10, None, None, []), (11, None, None, [])],
    ]
    raw = read_interaction_tables(spark, folder)
    assert raw.ratings.dtypes == [
        ("user_id", "bigint"),
        ("item_id", "bigint"),
        ("rating", "double"),
        ("timestamp", "bigint"),
    ]
    assert raw.users.dtypes == [
        ("user_id", "bigint"),
        ("gender", "string"),
        ("age", "int"),
        ("occupation", "string"),
        ("zip_code", "string"),
    ]
    assert raw.items.dtypes == [
        ("item_id", "bigint"),
        ("title", "string"),
        ("year", "int"),
        ("genres", "array<string>"),
    ]


def test_users_and_items_have_what_their_tables_have(spark: SparkSession, tmp_path: Path) -> None:
    users = {"occupation": ["", "artist"], "user_id": pa.array([7, 8], pa.uint8()), "age": [41.0, float("nan")]}
    items = {"item_id": [10], "genres": [["Drama", None, ""]], "title": ["Fête"]}
    folder = write(tmp_path, interactions=LOG | {"rating": [1, 2, 3]}, users=users, items=items)
    assert rows(spark, folder) == [
        [(-3, 11, 2.0, 1001), (7, 10, 1.0, 1000), (7, 11, 3.0, 1002)],
        [(7, None, 41, None, None), (8, None, None, "artist", None)],
        [(10, "Fête", None, ["Drama"])],
    ]


@pytest.mark.parametrize(
    "type_", [pa.timestamp("us"), pa.timestamp("ms", tz="Europe/Berlin"), pa.timestamp("s", "UTC")]
)
def test_timestamps_are_seconds(spark: SparkSession, tmp_path: Path, type_: pa.DataType) -> None:
    moment = dt.datetime(1970, 1, 1, 0, 20, tzinfo=dt.UTC)
    times = pa.array([moment if type_.tz else moment.replace(tzinfo=None)] * 3, type_)
    found, *_ = rows(spark, write(tmp_path, interactions=LOG | {"timestamp": times}))
    assert {row[3] for row in found} == {1200}


def test_a_table_may_be_a_folder_of_files_as_spark_writes_them(spark: SparkSession, tmp_path: Path) -> None:
    written = spark.createDataFrame([(1, 2, 3), (4, 5, 6)], "user_id int, item_id int, timestamp int").repartition(2)
    written.write.parquet(str(tmp_path / "plain/interactions.parquet"))
    assert rows(spark, tmp_path / "plain")[0] == [(1, 2, 1.0, 3), (4, 5, 1.0, 6)]
    partitioned = written.selectExpr("*", "timestamp div 2 AS day").write.partitionBy("day")
    partitioned.parquet(str(tmp_path / "by day/interactions.parquet"))
    assert rows(spark, tmp_path / "by day")[0] == [(1, 2, 1.0, 3), (4, 5, 1.0, 6)]


def test_columns_that_nothing_uses_are_told(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, interactions=LOG, users={"user_id": [7], "gendre": ["F"], "city": ["Ulm"]})
    with caplog.at_level(logging.WARNING, "tandem"):
        read_interaction_tables(spark, folder)
    assert [record.getMessage() for record in caplog.records] == [f"{folder}/users.parquet: not used: gendre, city"]


def test_a_log_may_lie_on_s3(s3: S3Server) -> None:
    folder = location(str(s3.bucket())) / "log"
    write_table(pa.table(LOG), folder / "interactions.parquet")
    with staged_table(folder / "users.parquet") as staging:
        write_table(pa.table({"user_id": [7]}), staging / "part-0.parquet")
    found = locate_interaction_tables(folder)
    assert list(found) == ["interactions", "users"]
    write_table(pa.table({"item_id": [7]}), folder / "items.parquet/day=1/part-0.parquet")
    write_table(pa.table({"item_id": [8]}), folder / "items.parquet/day=2/part-0.parquet")
    assert len(locate_interaction_tables(folder)["items"].paths) == 2
    assert [path.name for table in found.values() for path in table.paths] == ["interactions.parquet", "part-0.parquet"]
    with pytest.raises(UserError, match=r"^no interaction log: s3://.*/nowhere is not a folder"):
        locate_interaction_tables(folder / "nowhere")


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        ({}, "/interactions.parquet is missing; expected interactions.parquet there, and"),
        ({"interactions": pa.table(LOG).slice(0, 0)}, "/interactions.parquet has no rows; expected"),
        (
            {"interactions": {"user": [1], "item_id": [2], "timestamp": [3]}},
            "/interactions.parquet: column user_id is missing; did you mean user?",
        ),
        (
            {"interactions": LOG | {"user_id": ["a", "b", "c"]}},
            "/interactions.parquet: column user_id: expected a whole number, found the type string; number them, or",
        ),
        (
            {"interactions": LOG | {"timestamp": pa.array([1, 2, 3], pa.timestamp("ns"))}},
            "/interactions.parquet: column timestamp: Spark reads no timestamps in nanoseconds; write microseconds",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [10], "genres": ["Drama"]}},
            "/items.parquet: column genres: expected a list of texts, found the type string; convert it",
        ),
    ],
    ids=["missing", "empty", "misspelt", "texts for ids", "nanoseconds", "a text for a list"],
)
def test_what_footers_tell_is_one_line(tmp_path: Path, tables: dict[str, Any], line: str) -> None:
    folder = write(tmp_path / "log", **tables)
    with pytest.raises(UserError) as raised:
        locate_interaction_tables(folder)
    assert str(raised.value).startswith(f"{folder}{line}")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, interactions=LOG)
    refuse(folder / "interactions.parquet", monkeypatch)
    with pytest.raises(UserError, match=r"^cannot read .*/interactions.parquet: Permission denied; give its user"):
        locate_interaction_tables(folder)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no interaction log: .*/nowhere is not a folder; expected"):
        locate_interaction_tables(tmp_path / "nowhere")
    folder = tmp_path / "interactions.parquet"
    folder.mkdir()
    (folder / "part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"part-0.parquet is not an intact Parquet file \(.*\); copy it again$"):
        locate_interaction_tables(tmp_path)
    pq.write_table(pa.table(LOG), folder / "part-0.parquet")
    (folder / "notes.txt").write_text("kept")
    with pytest.raises(UserError, match=r"notes.txt is no Parquet file \(.parquet\); .* must hold nothing else$"):
        locate_interaction_tables(tmp_path)
    (folder / "notes.txt").unlink()
    pq.write_table(pa.table({**LOG, "rating": [1, 2, 3]}), folder / "part-1.parquet")
    with pytest.raises(UserError, match=r"part-1.parquet has other columns or types than .*part-0.parquet; write all"):
        locate_interaction_tables(tmp_path)


@pytest.mark.parametrize(
    ("tables", "line"),
    [
        (
            {"interactions": LOG | {"user_id": [7, None, None]}},
            "/interactions.parquet, row 2: column user_id: expected a whole number, found nothing (2 such rows); mend",
        ),
        (
            {"interactions": LOG | {"timestamp": [1000, 881250949000, 1]}},
            "/interactions.parquet, row 2: column timestamp: expected whole seconds since 1970, or a Parquet "
            "timestamp, found 881250949000 (milliseconds?); mend or remove it",
        ),
        (
            {"interactions": LOG | {"rating": [1.0, 2.0, float("nan")]}},
            "/interactions.parquet, row 3: column rating: expected a number, found nothing; mend or remove it",
        ),
        (
            {"interactions": LOG, "users": {"user_id": [1, 2], "age": [30, 1980]}},
            "/users.parquet, row 2: column age: expected whole years from 0 to 150, found 1980; mend or remove it",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6, 5, 5]}},
            "/items.parquet: column item_id: 5 stands there 3 times; keep one row",
        ),
    ],
    ids=["no user", "milliseconds", "no rating", "year of birth", "repeated item"],
)
def test_what_a_row_tells_is_one_line(spark: SparkSession, tmp_path: Path, tables: dict[str, Any], line: str) -> None:
    folder = write(tmp_path / "my log", **tables)
    with pytest.raises(UserError) as raised:
        read_interaction_tables(spark, folder)
    assert str(raised.value).startswith(f"{folder}{line}")
