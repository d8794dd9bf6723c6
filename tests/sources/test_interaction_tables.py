"""An interaction log in Parquet: what is read of it, and what is said of one that cannot be."""

import datetime as dt
import logging
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from refusals import refuse
from s3 import S3Server
from tandem.cli.one_line import user_line
from tandem.errors import UserError
from tandem.sources import interaction_tables
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
            {"interactions": LOG | {"rating": pa.nulls(3)}},
            "/interactions.parquet: column rating: expected a number, found no value in any row (the type null); fill",
        ),
        (
            {"interactions": LOG | {"rating": pa.array([1, 2, 3], pa.decimal256(60))}},
            "/interactions.parquet: column rating: expected a number, found the type decimal256(60, 0); convert it",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [10], "genres": ["Drama"]}},
            "/items.parquet: column genres: expected a list of texts, found the type string; convert it",
        ),
    ],
    ids=["missing", "empty", "misspelt", "texts for ids", "no rating", "a decimal too long", "a text for a list"],
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
    with pytest.raises(UserError, match=r"part-0.parquet: column rating is missing, which .*part-1.parquet has; write"):
        locate_interaction_tables(tmp_path)
    pq.write_table(pa.table({**LOG, "timestamp": pa.array([1, 2, 3], pa.timestamp("s"))}), folder / "part-1.parquet")
    line = r"part-1.parquet: column timestamp has the type timestamp\[ms\], and in .*part-0.parquet int64; write all"
    with pytest.raises(UserError, match=line):
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
            {"interactions": LOG, "users": {"user_id": [1, 2], "age": [30.5, float("inf")]}},
            "/users.parquet, row 1: column age: expected whole years from 0 to 150, found 30.5 (2 such rows); mend",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6], "year": [1999, 20240101000000]}},
            "/items.parquet, row 2: column year: expected a year from 1000 to 9999, or nothing, found 20240101000000;",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6], "title": [b"a", b"\xff"], "genres": [[b"\xfe"], []]}},
            "/items.parquet, row 1: column genres: expected a list of texts, found FE (not UTF-8) (2 such rows); mend",
        ),
        (
            {"interactions": LOG | {"user_id": pa.array([1, 2**63, 2], pa.uint64())}},
            "/interactions.parquet, row 2: column user_id: expected a whole number, found 9223372036854775808; mend",
        ),
        (
            {"interactions": LOG | {"rating": [1.0, float("-inf"), 2.0]}},
            "/interactions.parquet, row 2: column rating: expected a number, found -Infinity; mend or remove it",
        ),
        (
            {"interactions": LOG | {"timestamp": pa.array([2**62, 1, -1], pa.timestamp("ms"))}},
            "/interactions.parquet, row 1: column timestamp: expected whole seconds since 1970, or a Parquet "
            "timestamp, found 4611686018427387904 ms since 1970 (2 such rows); mend or remove it",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6, 5, 5]}},
            "/items.parquet: column item_id: 5 stands there 3 times; keep one row",
        ),
    ],
    ids=[
        "no user",
        "milliseconds",
        "no rating",
        "year of birth",
        "no whole age",
        "a year too large",
        "no UTF-8",
        "an id beyond 64 bits",
        "an infinite rating",
        "a timestamp too large",
        "repeated item",
    ],
)
def test_what_a_row_tells_is_one_line(spark: SparkSession, tmp_path: Path, tables: dict[str, Any], line: str) -> None:
    folder = write(tmp_path / "my log", **tables)
    with pytest.raises(UserError) as raised:
        read_interaction_tables(spark, folder)
    assert str(raised.value).startswith(f"{folder}{line}")


def test_what_nothing_uses_may_be_of_any_type_name_and_codec(spark: SparkSession, tmp_path: Path) -> None:
    unused = {
        "half": pa.array([1.0, None, 2.0], pa.float16()),
        "time": pa.array([1, 2, 3], pa.time32("ms")),
        "long": pa.array([1, 2, 3], pa.decimal256(60)),
        "late": pa.array([1, 2, 3], pa.timestamp("ns")),
        "took": pa.array([1, 2, 3], pa.duration("s")),
        "nested": [{"a": [1]}, None, {"a": []}],
        "nothing": pa.nulls(3),
        "event": ["a", "b", "c"],
        "Event": [1, 2, 3],
        "User_ID": ["x", "y", "z"],
        "_metadata": [1, 2, 3],
    }
    codecs = dict.fromkeys(LOG, "snappy") | dict.fromkeys(("half", "event"), "brotli")
    pq.write_table(pa.table({**unused, **LOG}), tmp_path / "interactions.parquet", compression=codecs)
    assert rows(spark, tmp_path)[0] == [(-3, 11, 1.0, 1001), (7, 10, 1.0, 1000), (7, 11, 1.0, 1002)]
    assert locate_interaction_tables(tmp_path)["interactions"].unused == tuple(unused)


def test_values_are_read_whatever_they_are_stored_as(spark: SparkSession, tmp_path: Path) -> None:
    log = {
        "user_id": pa.array([7, 2**63 - 1, 7], pa.uint64()),
        "item_id": pa.array([10, 11, 11], pa.uint32()).dictionary_encode(),
        "timestamp": pa.array([1_000_999_999_999, 1_001 * 10**9, 9_000_000_000_999_999_999], pa.timestamp("ns")),
        "rating": pa.array([Decimal("0.50"), Decimal(2), Decimal(3)], pa.decimal128(38, 2)),
    }
    items = {
        "item_id": pa.array([10, 11], pa.int8()),
        "title": pa.array(["Fête", None]).dictionary_encode(),
        "year": [1999.0, float("nan")],
        "genres": pa.nulls(2),
    }
    users = {"user_id": [7], "age": pa.nulls(1), "gender": pa.nulls(1), "zip_code": pa.array(["x"], pa.large_string())}
    assert rows(spark, write(tmp_path / "a", interactions=log, users=users, items=items)) == [
        [(7, 10, 0.5, 1000), (7, 11, 3.0, 9_000_000_000), (2**63 - 1, 11, 2.0, 1001)],
        [(7, None, None, None, "x")],
        [(10, "Fête", 1999, []), (11, None, None, [])],
    ]
    old = pa.table({**LOG, "timestamp": pa.array([1000, 1001, 1002], pa.timestamp("s"))})
    (tmp_path / "b").mkdir()
    pq.write_table(old, tmp_path / "b/interactions.parquet", use_deprecated_int96_timestamps=True)
    assert [row[3] for row in rows(spark, tmp_path / "b")[0]] == [1001, 1000, 1002]


def test_files_of_a_table_may_differ_in_what_is_not_read_and_in_order(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path, interactions=LOG)
    (tmp_path / "items.parquet").mkdir()
    strict = pa.schema([pa.field("genres", pa.list_(pa.string())), pa.field("item_id", pa.int64(), nullable=False)])
    pq.write_table(pa.table({"genres": [["a"]], "item_id": [1]}, strict), tmp_path / "items.parquet/part-0.parquet")
    other = {"item_id": pa.array([2], pa.int32()), "genres": pa.nulls(1), "price": [1.0]}
    pq.write_table(pa.table(other), tmp_path / "items.parquet/part-1.parquet")
    raw = read_interaction_tables(spark, tmp_path)
    assert sorted(tuple(row) for row in raw.items.collect()) == [(1, None, None, ["a"]), (2, None, None, [])]
    assert {name: (read.files, read.rows) for name, read in raw.read.items()} == {
        "interactions": (1, 3),
        "items": (2, 2),
    }


def test_links_are_followed_and_those_to_nothing_named(tmp_path: Path) -> None:
    write(tmp_path / "archive", old=LOG)
    table = tmp_path / "log" / "interactions.parquet"
    (table / "day=2").mkdir(parents=True)
    pq.write_table(pa.table(LOG), table / "day=2" / "part-0.parquet")
    (table / "day=1").symlink_to(tmp_path / "archive")
    (table / "day=2" / "part-1.parquet").symlink_to(tmp_path / "archive" / "old.parquet")
    found = locate_interaction_tables(tmp_path / "log")["interactions"]
    assert [path.name for path in found.paths] == ["old.parquet", "part-0.parquet", "part-1.parquet"]
    assert found.rows == 9
    (table / "day=3").symlink_to(table)
    with pytest.raises(UserError, match=r"day=3 is a link to a folder that it lies in itself; remove the link$"):
        locate_interaction_tables(tmp_path / "log")
    (table / "day=3").unlink()
    (table / "day=3").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"day=3 is a link to .*/gone, which is not there; mend or remove the link$"):
        locate_interaction_tables(tmp_path / "log")


@pytest.mark.parametrize(
    ("mark", "what"),
    [("_delta_log/0.json", "Delta"), (".hoodie/x", "Hudi"), ("metadata/v1.metadata.json", "Iceberg")],
)
def test_tables_that_keep_deleted_rows_are_refused_wherever_one_points(tmp_path: Path, mark: str, what: str) -> None:
    table = tmp_path / "log" / "interactions.parquet"
    (table / "data" / "day=1").mkdir(parents=True)
    pq.write_table(pa.table(LOG), table / "data" / "day=1" / "part-0.parquet")
    (table / mark).parent.mkdir()
    (table / mark).write_text("{}")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "interactions.parquet").symlink_to(table / "data" / "day=1")
    for folder in (tmp_path / "log", table, tmp_path / "linked"):
        with pytest.raises(UserError, match=rf"^{table} is an? {what} table: its files hold rows that were deleted"):
            locate_interaction_tables(folder)


def test_what_is_not_read_is_told(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = tmp_path / "interactions.parquet"
    table.mkdir()
    for name in ("part-0.parquet", "_part-1.parquet", "_SUCCESS", ".part-2.parquet.crc"):
        pq.write_table(pa.table(LOG), table / name)
    write(tmp_path, user={"user_id": [1]})
    with caplog.at_level(logging.WARNING, "tandem"):
        read_interaction_tables(spark, tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{table}: not read, as names with . or _ are hidden: _part-1.parquet",
        f"{tmp_path}: not read: user.parquet",
    ]


def test_a_column_that_is_only_the_name_of_a_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "interactions.parquet" / "user_id=7"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({name: LOG[name] for name in ("item_id", "timestamp")}), folder / "part-0.parquet")
    with pytest.raises(
        UserError, match=r"column user_id is only in the name of its folder \(user_id=7\), which is not"
    ):
        locate_interaction_tables(tmp_path)


def test_names_and_encodings_that_spark_cannot_read_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "interactions.parquet"
    folder.mkdir()
    pq.write_table(pa.table(LOG), folder / "10:00.parquet")
    with pytest.raises(UserError, match=r"10:00.parquet: Spark reads no file with a colon in its name; rename it$"):
        locate_interaction_tables(tmp_path)
    (folder / "10:00.parquet").unlink()
    pq.write_table(pa.table(LOG), write(folder / "at 10:00") / "why?.parquet")
    with pytest.raises(UserError, match=r"10:00/why\?.parquet: Spark reads no file with a colon in its path and one"):
        locate_interaction_tables(tmp_path)
    (folder / "at 10:00/why?.parquet").unlink()
    encoded = {"use_dictionary": False, "column_encoding": {"user_id": "BYTE_STREAM_SPLIT"}}
    pq.write_table(pa.table(LOG), folder / "part-0.parquet", **encoded)
    with pytest.raises(UserError, match=r"column user_id is encoded as BYTE_STREAM_SPLIT, which Spark does not read;"):
        locate_interaction_tables(tmp_path)
    twice = pa.table([*LOG.values(), [1, 2, 3], [["a"], None, []]], names=[*LOG, "x", "x"])
    pq.write_table(twice, folder / "part-0.parquet")
    with pytest.raises(UserError, match=r"column x stands there twice, as int64 and as list<element: string>, which"):
        locate_interaction_tables(tmp_path)


def test_of_unused_columns_of_one_name_only_what_spark_cannot_read_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    log = pa.table(LOG).append_column("extra", pa.array(["a", "", None]))
    write(tmp_path, interactions=log.append_column("extra", pa.array(["a", "b", "c"])))
    assert len(rows(spark, tmp_path)[0]) == 3
    for other in (pa.array([1, 2, 3]), pa.array([["a"], [], None])):
        write(tmp_path, interactions=log.append_column("extra", other))
        told = (
            rf"interactions.parquet: column extra stands there twice, as string and as {re.escape(str(other.type))[:5]}"
        )
        with pytest.raises(UserError, match=told):
            locate_interaction_tables(tmp_path)


def test_codecs_that_java_has_not_and_encrypted_files_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table(LOG), tmp_path / "interactions.parquet", compression="brotli")
    with pytest.raises(UserError, match=r"interactions.parquet: column user_id is compressed by BROTLI, which Spark's"):
        locate_interaction_tables(tmp_path)
    for plain_footer in (False, True):
        _encrypt(tmp_path / "interactions.parquet", plain_footer)
        with pytest.raises(UserError, match=r"interactions.parquet is encrypted; write it without encryption"):
            locate_interaction_tables(tmp_path)


class _NoKms(pe.KmsClient):
    def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
        return key_bytes.hex().encode()

    def unwrap_key(self, wrapped_key: bytes, _: str) -> bytes:
        return bytes.fromhex(wrapped_key.decode())


def _encrypt(path: Path, plain_footer: bool) -> None:
    made = pe.EncryptionConfiguration(
        footer_key="k", column_keys={"k": ["user_id", "item_id"]}, plaintext_footer=plain_footer
    )
    factory = pe.CryptoFactory(lambda _: _NoKms())
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), made)
    with pq.ParquetWriter(path, pa.table(LOG).schema, encryption_properties=properties) as writer:
        writer.write_table(pa.table(LOG))


def test_rows_that_spark_does_not_see_are_missed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = locate_interaction_tables(write(tmp_path, interactions=LOG))
    more = {name: replace(table, rows=4) for name, table in files.items()}
    monkeypatch.setattr(interaction_tables, "locate_interaction_tables", lambda _: more)
    with pytest.raises(UserError, match=r"interactions.parquet: Spark read 3 of the 4 rows that its files have; they"):
        read_interaction_tables(spark, tmp_path)


def test_a_broken_page_is_told_by_its_file_before_anything_is_written(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "my log", interactions=LOG, items={"item_id": [1], "title": ["so long a title" * 9]})
    broken = bytearray((folder / "items.parquet").read_bytes())
    chunk = pq.read_metadata(folder / "items.parquet").row_group(0).column(1)
    start = chunk.dictionary_page_offset
    broken[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    (folder / "items.parquet").write_bytes(broken)
    with pytest.raises((PySparkException, Py4JJavaError)) as raised:
        read_interaction_tables(spark, folder)
    line = user_line(raised.value)
    assert line is not None
    assert line.startswith(f"{folder}/items.parquet cannot be read: its content is not intact (")
