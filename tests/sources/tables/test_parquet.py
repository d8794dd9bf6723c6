"""An interaction log in Parquet: what is read of it, and what is said of one that cannot be."""

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
from tandem.parameters import TablesParameters
from tandem.sources.tables import locate_tables, read_tables, reading
from tandem.storage.locations import location
from tandem.storage.parquet import write_table
from tandem.storage.tables import staged_table

LOG = {"user_id": [7, -3, 7], "item_id": [10, 11, 11], "timestamp": [1000, 1001, 1002]}


FEATURES = {
    "gender": "category",
    "age": "number",
    "occupation": "category",
    "zip_code": "category",
    "year": "number",
    "genres": "categories",
}


def write(folder: Path, **tables: dict[str, Any] | pa.Table) -> Path:
    folder.mkdir(exist_ok=True)
    for name, columns in tables.items():
        pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), folder / f"{name}.parquet")
    return folder


def described(folder: Any, side: str = "", weight: str | None = None, **features: str) -> TablesParameters:
    """A log of interactions, and with ``side`` (users or items) that table with these features, or all."""
    log = {"file": "interactions.parquet", "user": "user_id", "item": "item_id", "time": "timestamp", "weight": weight}
    found: dict[str, Any] = {"path": str(folder), "interactions": log}
    if side:
        found[side] = {"file": f"{side}.parquet", "id": f"{side[:-1]}_id", "features": features}
    return TablesParameters.model_validate(found)


def rows(spark: SparkSession, parameters: TablesParameters) -> list[list[tuple[Any, ...]]]:
    raw = read_tables(spark, parameters)
    log = raw.interactions.select("user_id", "item_id", "weight", "timestamp")
    return [sorted(tuple(row) for row in table.collect()) for table in (log, raw.users, raw.items)]


def test_a_log_alone_is_enough(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "a [b] c", interactions=LOG)
    assert rows(spark, described(folder)) == [
        [(-3, 11, 1.0, 1001), (7, 10, 1.0, 1000), (7, 11, 1.0, 1002)],
        [(-3, None), (7, None)],
        [(10, None, None), (11, None, None)],
    ]
    raw = read_tables(spark, described(folder))
    assert raw.interactions.dtypes == [
        ("user_id", "bigint"),
        ("item_id", "bigint"),
        ("weight", "double"),
        ("timestamp", "bigint"),
        ("label", "int"),
        ("split", "string"),
    ]
    assert (raw.schema.user_ids, raw.schema.item_ids, raw.schema.has_weight) == ("whole", "whole", False)
    assert raw.read["interactions"].rows == 3


def test_values_are_read_whatever_they_are_stored_as(spark: SparkSession, tmp_path: Path) -> None:
    log = {
        "user_id": pa.array([7, 2**63 - 1, 7], pa.uint64()),
        "item_id": pa.array([10, 11, 11], pa.uint32()).dictionary_encode(),
        "timestamp": pa.array([1_000_999_999_999, 1_001 * 10**9, 9_000_000_000_999_999_999], pa.timestamp("ns")),
        "rating": pa.array([Decimal("0.50"), Decimal(2), Decimal(3)], pa.decimal128(38, 2)),
    }
    users = {
        "user_id": [7.0, 8.0],
        "age": [41.0, float("nan")],
        "occupation": ["", "artist"],
        "zip_code": pa.array(["x", None], pa.large_string()),
        "gender": pa.nulls(2),
    }
    folder = write(tmp_path / "a", interactions=log, users=users)
    names = {name: FEATURES[name] for name in ("age", "occupation", "zip_code", "gender")}
    found = rows(spark, described(folder, "users", "rating", **names))
    assert found[0] == [(7, 10, 0.5, 1000), (7, 11, 3.0, 9_000_000_000), (2**63 - 1, 11, 2.0, 1001)]
    assert found[1] == [(7, None, 41.0, None, "x", None), (8, None, None, "artist", None, None)]
    old = pa.table({**LOG, "timestamp": pa.array([1000, 1001, 1002], pa.timestamp("s"))})
    items = {"item_id": [10, 11], "genres": [["Drama", None, ""], None], "year": pa.nulls(2)}
    folder = write(tmp_path / "b", items=items)
    pq.write_table(old, folder / "interactions.parquet", use_deprecated_int96_timestamps=True)
    found = rows(spark, described(folder, "items", genres="categories", year="number"))
    assert [row[3] for row in found[0]] == [1001, 1000, 1002]
    assert found[2] == [(10, None, None, ["Drama"], None), (11, None, None, [], None)]


def test_texts_are_numbered_in_their_order_over_both_tables(spark: SparkSession, tmp_path: Path) -> None:
    log = {"user_id": ["u9", "u10", "é"], "item_id": [{"id": 3}, {"id": 10}, {"id": 3}], "timestamp": [1, 2, 3]}
    users = {"user_id": pa.array(["u10", "a"]).dictionary_encode(), "age": [30, 40]}
    items = {"item_id": ["03", "10"], "genres": [[1, 2], []]}
    folder = write(tmp_path, interactions=log, users=users, items=items)
    given = described(folder).model_dump()
    given["interactions"]["item"] = "item_id.id"
    given["users"] = {"file": "users.parquet", "id": "user_id", "features": {"age": "number"}}
    given["items"] = {"file": "items.parquet", "id": "item_id", "features": {"genres": "categories"}}
    raw = read_tables(spark, TablesParameters.model_validate(given))
    assert (raw.schema.user_ids, raw.schema.item_ids) == ("text", "text")
    users_found = sorted(tuple(row) for row in raw.users.collect())
    assert users_found == [(1, "a", 40.0), (2, "u10", 30.0), (3, "u9", None), (4, "é", None)]
    assert sorted(tuple(row) for row in raw.items.collect()) == [
        (1, "03", None, ["1", "2"]),
        (2, "10", None, []),
        (3, "3", None, []),
    ]
    assert sorted(row[:2] for row in raw.interactions.collect()) == [(2, 2), (3, 3), (4, 3)]
    assert raw.unlisted_users is not None
    assert raw.unlisted_items is not None
    assert sorted(row[0] for row in raw.unlisted_users.collect()) == [3, 4]
    assert [row[0] for row in raw.unlisted_items.collect()] == [3]


def test_columns_in_the_names_of_folders_play_roles(spark: SparkSession, tmp_path: Path) -> None:
    for folder, part in {
        "day=2025-03-01/shop=a%2Bb+c": {"item_id": [1, 2]},
        "day=2025-03-02/shop=x": {"item_id": [1]},
    }.items():
        place = tmp_path / "log" / folder
        place.mkdir(parents=True)
        pq.write_table(pa.table(part), place / "part-0.parquet")
    log = {"file": "log", "user": "shop", "item": "item_id", "time": "day"}
    raw = read_tables(spark, TablesParameters.model_validate({"path": str(tmp_path), "interactions": log}))
    assert sorted(tuple(row) for row in raw.users.collect()) == [(1, "a+b+c"), (2, "x")]
    found = sorted((row["user_id"], row["item_id"], row["timestamp"]) for row in raw.interactions.collect())
    assert found == [(1, 1, 1740787200), (1, 2, 1740787200), (2, 1, 1740873600)]


def test_rows_without_a_weight_are_left_out_and_told(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path, interactions=LOG | {"rating": [1.0, None, float("nan")]})
    with caplog.at_level(logging.WARNING, "tandem"):
        assert rows(spark, described(folder, weight="rating"))[0] == [(7, 10, 1.0, 1000)]
    told = f"{folder}/interactions.parquet: 2 of 3 rows are left out, as their column rating is empty"
    assert [record.getMessage() for record in caplog.records] == [told]


def test_a_log_may_lie_on_s3(s3: S3Server) -> None:
    folder = location(str(s3.bucket())) / "log"
    write_table(pa.table(LOG), folder / "interactions.parquet/day=1/part-0.parquet")
    write_table(pa.table(LOG), folder / "interactions.parquet/day=2/part-0.parquet")
    with staged_table(folder / "users.parquet") as staging:
        write_table(pa.table({"user_id": [7]}), staging / "part-0.parquet")
    found = locate_tables(described(folder, "users"))
    assert found.users is not None
    assert (found.interactions.files, found.interactions.rows, found.users.rows) == (2, 6, 1)
    with pytest.raises(UserError, match=r"^s3://.*/nowhere/interactions.parquet is missing, or has no file"):
        locate_tables(described(folder / "nowhere"))


@pytest.mark.parametrize(
    ("tables", "side", "line"),
    [
        ({}, "", "/interactions.parquet is missing, or has no file; tables.interactions names it"),
        ({"interactions": pa.table(LOG).slice(0, 0)}, "", "/interactions.parquet has no rows; name the file"),
        (
            {"interactions": {"user": [1], "item_id": [2], "timestamp": [3]}},
            "",
            "/interactions.parquet: column user_id is missing; did you mean user?",
        ),
        (
            {"interactions": LOG | {"timestamp": pa.nulls(3)}},
            "",
            "/interactions.parquet: column timestamp: expected a time, found no value in any row (the type null); fill",
        ),
        (
            {"interactions": LOG | {"user_id": [[1], [2], [3]]}},
            "",
            "/interactions.parquet: column user_id: expected a whole number or a text, found the type list<",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [10], "genres": pa.array([1], pa.decimal256(60))}},
            "items",
            "/items.parquet: column genres: expected a list of texts, found the type decimal256(60, 0); convert it",
        ),
    ],
    ids=["missing", "empty", "misspelt", "no time", "lists for ids", "a number for a list"],
)
def test_what_footers_tell_is_one_line(tmp_path: Path, tables: dict[str, Any], side: str, line: str) -> None:
    folder = write(tmp_path / "log", **tables)
    with pytest.raises(UserError) as raised:
        locate_tables(described(folder, side, **({"genres": "categories"} if side else {})))
    assert str(raised.value).startswith(f"{folder}{line}")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, interactions=LOG)
    refuse(folder / "interactions.parquet", monkeypatch)
    with pytest.raises(UserError, match=r"^cannot read .*/interactions.parquet: Permission denied; give its user"):
        locate_tables(described(folder))


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "interactions.parquet"
    folder.mkdir()
    (folder / "part-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"part-0.parquet is not an intact Parquet file \(.*\); copy it again$"):
        locate_tables(described(tmp_path))
    pq.write_table(pa.table(LOG), folder / "part-0.parquet")
    (folder / "notes.txt").write_text("kept")
    with pytest.raises(
        UserError, match=r"notes.txt is no Parquet, as part-0.parquet beside it is; keep files of one form"
    ):
        locate_tables(described(tmp_path))
    (folder / "notes.txt").unlink()
    pq.write_table(pa.table({**LOG, "rating": [1, 2, 3]}), folder / "part-1.parquet")
    with pytest.raises(UserError, match=r"part-0.parquet: column rating is missing, which .*part-1.parquet has; write"):
        locate_tables(described(tmp_path, weight="rating"))
    (folder / "part-1.parquet").write_text("user_id,item_id,timestamp\n")
    with pytest.raises(UserError, match=r"part-1.parquet is not an intact Parquet file, as its name says; copy it"):
        locate_tables(described(tmp_path))


@pytest.mark.parametrize(
    ("tables", "weight", "line"),
    [
        (
            {"interactions": LOG | {"user_id": [7, None, None]}},
            None,
            "/interactions.parquet, row 2: column user_id: expected a whole number or a text, found nothing (2 such "
            "rows); mend or remove it",
        ),
        (
            {"interactions": LOG | {"timestamp": [1000, 881250949000, 1]}},
            None,
            "/interactions.parquet, row 2: column timestamp: expected whole seconds since 1970, an ISO date or a "
            "Parquet timestamp, found 881250949000 (milliseconds? set time_format: ms); mend or remove it",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6], "genres": [[b"\xfe"], []]}},
            None,
            "/items.parquet, row 1: column genres: expected a list of texts, found FE (not UTF-8); mend",
        ),
        (
            {"interactions": LOG | {"user_id": pa.array([1, 2**63, 2], pa.uint64())}},
            None,
            "/interactions.parquet, row 2: column user_id: expected a whole number or a text, found "
            "9223372036854775808; mend",
        ),
        (
            {"interactions": LOG | {"rating": [1.0, float("-inf"), 2.0]}},
            "rating",
            "/interactions.parquet, row 2: column rating: expected a number, found -Infinity; mend or remove it",
        ),
        (
            {"interactions": LOG | {"timestamp": pa.array([2**62, 1, -1], pa.timestamp("ms"))}},
            None,
            "/interactions.parquet, row 1: column timestamp: expected whole seconds since 1970, an ISO date or a "
            "Parquet timestamp, found 4611686018427387904 ms since 1970 (2 such rows); mend or remove it",
        ),
        (
            {"interactions": LOG, "items": {"item_id": [5, 6, 5, 5], "genres": [[], [], [], []]}},
            None,
            "/items.parquet, row 3: column item_id: 5 stands there 3 times; keep one row",
        ),
    ],
    ids=["no user", "milliseconds", "no UTF-8", "beyond 64 bits", "an infinite rating", "too late", "repeated item"],
)
def test_what_a_row_tells_is_one_line(
    spark: SparkSession, tmp_path: Path, tables: dict[str, Any], weight: str | None, line: str
) -> None:
    folder = write(tmp_path / "my log", **tables)
    side = {"side": "items", "genres": "categories"} if "items" in tables else {}
    with pytest.raises(UserError) as raised:
        read_tables(spark, described(folder, weight=weight, **side))
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
    assert rows(spark, described(tmp_path))[0] == [(-3, 11, 1.0, 1001), (7, 10, 1.0, 1000), (7, 11, 1.0, 1002)]


def test_files_of_a_table_may_differ_in_types_in_order_and_in_what_is_not_read(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path, interactions=LOG)
    (tmp_path / "items.parquet").mkdir()
    strict = pa.schema([pa.field("genres", pa.list_(pa.string())), pa.field("item_id", pa.int64(), nullable=False)])
    pq.write_table(pa.table({"genres": [["a"]], "item_id": [1]}, strict), tmp_path / "items.parquet/part-0.parquet")
    other = {"item_id": pa.array(["2"]), "genres": pa.nulls(1), "price": [1.0]}
    pq.write_table(pa.table(other), tmp_path / "items.parquet/part-1.parquet")
    raw = read_tables(spark, described(tmp_path, "items", genres="categories"))
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
    found = locate_tables(described(tmp_path / "log")).interactions
    assert [path.name for part in found.parquet for path in part.group.paths] == [
        "old.parquet",
        "part-0.parquet",
        "part-1.parquet",
    ]
    assert found.rows == 9
    (table / "day=3").symlink_to(table)
    with pytest.raises(UserError, match=r"day=3 is a link to a folder that it lies in itself; remove the link$"):
        locate_tables(described(tmp_path / "log"))
    (table / "day=3").unlink()
    (table / "day=3").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"day=3 is a link to .*/gone, which is not there; mend or remove the link$"):
        locate_tables(described(tmp_path / "log"))


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
            locate_tables(described(folder))


def test_what_is_not_read_is_told(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = tmp_path / "interactions.parquet"
    table.mkdir()
    for name in ("part-0.parquet", "_part-1.parquet", "_SUCCESS", ".part-2.parquet.crc"):
        pq.write_table(pa.table(LOG), table / name)
    with caplog.at_level(logging.WARNING, "tandem"):
        read_tables(spark, described(tmp_path))
    assert [record.getMessage() for record in caplog.records] == [
        f"{table}: not read, as names with . or _ are hidden: _part-1.parquet",
    ]


def test_names_and_encodings_that_spark_cannot_read_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "interactions.parquet"
    folder.mkdir()
    pq.write_table(pa.table(LOG), folder / "10:00.parquet")
    with pytest.raises(UserError, match=r"10:00.parquet: Spark reads no file with a colon in its name; rename it$"):
        locate_tables(described(tmp_path))
    (folder / "10:00.parquet").unlink()
    pq.write_table(pa.table(LOG), write(folder / "at 10:00") / "why?.parquet")
    with pytest.raises(UserError, match=r"10:00/why\?.parquet: Spark reads no file with a colon in its path and one"):
        locate_tables(described(tmp_path))
    (folder / "at 10:00/why?.parquet").unlink()
    encoded = {"use_dictionary": False, "column_encoding": {"user_id": "BYTE_STREAM_SPLIT"}}
    pq.write_table(pa.table(LOG), folder / "part-0.parquet", **encoded)
    with pytest.raises(UserError, match=r"column user_id is encoded as BYTE_STREAM_SPLIT, which Spark does not read;"):
        locate_tables(described(tmp_path))
    twice = pa.table([*LOG.values(), [1, 2, 3], [["a"], None, []]], names=[*LOG, "x", "x"])
    pq.write_table(twice, folder / "part-0.parquet")
    with pytest.raises(UserError, match=r"column x stands there twice, as int64 and as list<element: string>, which"):
        locate_tables(described(tmp_path))


def test_of_unused_columns_of_one_name_only_what_spark_cannot_read_is_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    log = pa.table(LOG).append_column("extra", pa.array(["a", "", None]))
    write(tmp_path, interactions=log.append_column("extra", pa.array(["a", "b", "c"])))
    assert len(rows(spark, described(tmp_path))[0]) == 3
    for other in (pa.array([1, 2, 3]), pa.array([["a"], [], None])):
        write(tmp_path, interactions=log.append_column("extra", other))
        told = (
            rf"interactions.parquet: column extra stands there twice, as string and as {re.escape(str(other.type))[:5]}"
        )
        with pytest.raises(UserError, match=told):
            locate_tables(described(tmp_path))


def test_codecs_that_java_has_not_and_encrypted_files_are_named(tmp_path: Path) -> None:
    pq.write_table(pa.table(LOG), tmp_path / "interactions.parquet", compression="brotli")
    with pytest.raises(UserError, match=r"interactions.parquet: column user_id is compressed by BROTLI, which Spark's"):
        locate_tables(described(tmp_path))
    for plain_footer in (False, True):
        _encrypt(tmp_path / "interactions.parquet", plain_footer)
        with pytest.raises(UserError, match=r"interactions.parquet is encrypted; write it without encryption"):
            locate_tables(described(tmp_path))


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
    found = locate_tables(described(write(tmp_path, interactions=LOG)))
    more = replace(found, interactions=replace(found.interactions, rows=4))
    monkeypatch.setattr(reading, "locate_tables", lambda _: more)
    with pytest.raises(UserError, match=r"interactions.parquet: Spark read 3 of the 4 rows that its files have; they"):
        read_tables(spark, described(tmp_path))


def test_a_broken_page_is_told_by_its_file_before_anything_is_written(spark: SparkSession, tmp_path: Path) -> None:
    folder = write(tmp_path / "my log", interactions=LOG, items={"item_id": [1], "title": ["so long a title" * 9]})
    broken = bytearray((folder / "items.parquet").read_bytes())
    chunk = pq.read_metadata(folder / "items.parquet").row_group(0).column(1)
    start = chunk.dictionary_page_offset
    broken[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    (folder / "items.parquet").write_bytes(broken)
    given = {"file": "items.parquet", "id": "item_id", "title": "title"}
    parameters = TablesParameters.model_validate(described(folder).model_dump() | {"items": given})
    with pytest.raises((PySparkException, Py4JJavaError)) as raised:
        read_tables(spark, parameters)
    line = user_line(raised.value)
    assert line is not None
    assert line.startswith(f"{folder}/items.parquet cannot be read: its content is not intact (")
