import bz2
import gzip
import random
import zlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from recsys2021_raw_rows import NAMES, line, row, table, write_halves
from tandem.cli.one_line import user_line
from tandem.features.recsys2021_rows import clean_rows
from tandem.sources.recsys2021 import SCHEMA, read_recsys2021

NOW = 1_700_000_000
LIKED = {"like_timestamp": 1_612_396_900, "enaging_user_is_verified": True, "hashtags": "A\tB"}


def values(rows: DataFrame) -> list[tuple[Any, ...]]:
    assert rows.schema == SCHEMA
    return [tuple(found) for found in rows.collect()]


def refused(rows: DataFrame) -> str:
    """What the command says of the job's error."""
    with pytest.raises((PySparkException, Py4JJavaError)) as raised:
        rows.count()
    return str(user_line(raised.value))


def test_raw_rows(spark: SparkSession, tmp_path: Path) -> None:
    text = "\n".join(["", line(), line(**LIKED, present_media="") + "\r", ""])
    raw = read_recsys2021(spark, write_halves(tmp_path / "[raw] data", text), now=NOW)
    expected = [tuple(row().values()), tuple((row(**LIKED) | {"present_media": None}).values())]
    assert values(raw.train) == values(raw.test) == expected
    assert raw.best_auc is None


def test_parquet_rows_whatever_their_types_spelling_and_order(spark: SparkSession, tmp_path: Path) -> None:
    """What pandas and others make of the challenge: floats with gaps, small ints, booleans as text or number."""
    types: dict[str, pa.DataType] = {name: pa.float64() for name in NAMES if name.endswith("timestamp")}
    types |= {name: pa.int32() for name in NAMES if name.endswith("_count")}
    types |= {"engagee_follows_engager": pa.bool_(), "reply_timestamp": pa.null(), "tweet_id": pa.large_string()}
    other = table(row(engagee_follows_engager=True), row(**LIKED, engagee_follows_engager=True), types=types)
    spelt = {"text_tokens": "text_ tokens", "retweet_timestamp": "retweet_timestampe"}
    other = other.rename_columns([spelt.get(name, name) for name in NAMES]).select(range(23, -1, -1))
    folder = write_halves(tmp_path / "data", other, table(row(), row(**LIKED)))
    raw = read_recsys2021(spark, folder, now=NOW)
    assert values(raw.train) == values(raw.test) == [tuple(row().values()), tuple(row(**LIKED).values())]


def test_files_of_different_forms_are_read_together(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row(tweet_id="one")))
    texts = {name: pa.string() for name in NAMES}
    as_text = {name: None if value is None else str(value) for name, value in row(tweet_id="two").items()}
    pq.write_table(table(as_text | {"reply_timestamp": "", "like_timestamp": "0"}, types=texts), folder / "train" / "b")
    train = read_recsys2021(spark, folder, now=NOW).train
    assert values(train) == [tuple(row(tweet_id=name).values()) for name in ("two", "one")]


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (line() + "\x01", r"expected 24 columns separated by \x01, found 25"),
        (line().rsplit("\x01", 1)[0], r"expected 24 columns separated by \x01, found 23"),
        (
            line(enaging_user_follower_count="many"),
            "column enaging_user_follower_count: expected a whole number from 0, found 'many'",
        ),
    ],
)
def test_a_bad_raw_row_is_named_by_file_row_and_column(
    spark: SparkSession, tmp_path: Path, bad: str, what: str
) -> None:
    folder = write_halves(tmp_path / "some data", "\n".join([line(), "", line(), bad, line()]))
    rows = read_recsys2021(spark, folder, now=NOW).test
    assert refused(rows) == f"{folder}/test/part-00000, row 4: {what}; mend or remove it"


@pytest.mark.parametrize(("suffix", "opened"), [(".gz", gzip.open), (".bz2", bz2.open)])
def test_a_bad_row_of_a_compressed_file_is_named_without_its_number(
    spark: SparkSession, tmp_path: Path, suffix: str, opened: Callable[[Path, str], IO[bytes]]
) -> None:
    """Read again as plain text, it was "row 1: expected 24 columns, found 1"."""
    bad = "\n".join([line(), line(enaging_user_follower_count="many")])
    folder = write_halves(tmp_path / "data", line(), "")
    with opened(folder / "test" / f"part-00000{suffix}", "wb") as file:
        file.write(bad.encode())
    assert refused(read_recsys2021(spark, folder, now=NOW).test) == (
        f"{folder}/test/part-00000{suffix}: column enaging_user_follower_count: "
        "expected a whole number from 0, found 'many'; mend or remove it"
    )


def test_a_bad_row_stops_a_job_that_does_not_ask_for_its_column(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", "\n".join([line(), line(tweet_timestamp="soon")]))
    what = "row 2: column tweet_timestamp: expected whole seconds since 1970, found 'soon'; mend or remove it"
    rows = read_recsys2021(spark, folder, now=NOW).train.select("language")
    assert refused(rows) == f"{folder}/train/part-00000, {what}"


@pytest.mark.parametrize(
    ("name", "type_", "value", "what"),
    [
        ("enaging_user_follower_count", pa.string(), "many", "expected a whole number from 0, found 'many'"),
        ("engaged_with_user_following_count", pa.int32(), -3, "expected a whole number from 0, found '-3'"),
        ("tweet_timestamp", pa.string(), "3\n", "expected whole seconds since 1970, found '3 '"),
        ("tweet_timestamp", pa.float64(), 1.5, "expected whole seconds since 1970, found '1.5'"),
        ("enaging_user_is_verified", pa.int8(), 2, "expected true or false, found '2'"),
        ("enaging_user_follower_count", pa.float64(), float("inf"), "expected a whole number from 0, found 'Infinity'"),
        ("tweet_timestamp", pa.float32(), 1e30, "expected whole seconds since 1970, found '1.0000000150474662E30'"),
        ("like_timestamp", pa.float64(), 1e18, "expected whole seconds since 1970, or nothing, found '1.0E18'"),
        ("enaging_user_follower_count", pa.int64(), 10**18, f"expected a whole number from 0, found '{10**18}'"),
        ("tweet_timestamp", pa.uint64(), 2**64 - 1, f"expected whole seconds since 1970, found '{2**64 - 1}'"),
        ("tweet_timestamp", pa.decimal128(20, 1), Decimal("1.5"), "expected whole seconds since 1970, found '1.5'"),
    ],
)
def test_a_bad_parquet_row_is_named_too(
    spark: SparkSession, tmp_path: Path, name: str, type_: pa.DataType, value: object, what: str
) -> None:
    good = {name: {pa.int8(): 1, pa.string(): "3"}.get(type_, 3)}
    rows = table(row(**good), row(**good), row(**{name: value}), types={name: type_})
    folder = write_halves(tmp_path / "my data, 100%", rows)
    found = refused(read_recsys2021(spark, folder, now=NOW).train)
    assert found == f"{folder}/train/part-00000.snappy.parquet, row 3: column {name}: {what}; mend or remove it"


@pytest.mark.parametrize("raw", [True, False])
def test_a_time_in_the_future(spark: SparkSession, tmp_path: Path, raw: bool) -> None:
    late = {"tweet_id": "late", "like_timestamp": 1_612_396_800_000}
    rows = "\n".join([line(), line(**late)]) if raw else table(row(), row(**late))
    folder = write_halves(tmp_path / "data", rows)
    name = "part-00000" if raw else "part-00000.snappy.parquet"
    assert refused(read_recsys2021(spark, folder, now=NOW).train) == (
        f"{folder}/train/{name}, row 2: column like_timestamp: expected seconds since 1970 up to now ({NOW}), "
        "found 1612396800000 (milliseconds?); mend or remove it"
    )
    kept = read_recsys2021(spark, folder, future="keep", now=NOW).train
    assert [found["tweet_id"] for found in kept.collect()] == ["A", "late"]
    dropped = read_recsys2021(spark, folder, future="drop", now=NOW).train
    assert [found["tweet_id"] for found in dropped.collect()] == ["A"]


def test_reading_starts_no_job(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()), line())
    tracker = spark.sparkContext.statusTracker()
    spark.sparkContext.setJobGroup("reading", "")
    try:
        read_recsys2021(spark, folder, now=NOW)
        assert len(tracker.getJobIdsForGroup("reading")) == 0
    finally:
        spark.sparkContext.setJobGroup("tests", "")


def test_counts_up_to_the_largest_are_read_from_any_type_and_prepared(spark: SparkSession, tmp_path: Path) -> None:
    most = 10**18 - 1
    types = {"enaging_user_follower_count": pa.uint64(), "engaged_with_user_follower_count": pa.decimal128(38)}
    rows = table(row(enaging_user_follower_count=most, engaged_with_user_follower_count=Decimal(most)), types=types)
    raw = read_recsys2021(spark, write_halves(tmp_path / "data", rows), now=NOW)
    (found,) = clean_rows(raw.train, "any").collect()
    assert (found["user_followers"], found["author_followers"]) == (most, most)
    assert found["user_ratio"] == 7 / 1e18


def test_a_ratio_of_the_largest_number_does_not_overflow(spark: SparkSession, tmp_path: Path) -> None:
    raw = read_recsys2021(spark, write_halves(tmp_path / "data", table(row())), now=NOW).train
    largest = raw.withColumn("enaging_user_follower_count", F.lit(2**63 - 1))
    assert clean_rows(largest, "any").collect()[0]["user_ratio"] == 7 / 2**63


def test_rows_of_every_form_that_is_compressed_are_all_read(spark: SparkSession, tmp_path: Path) -> None:
    text = "".join(f"{line(tweet_id=number)}\n" for number in range(700)).encode()
    folder = write_halves(tmp_path / "data", "", line())
    forms = {
        ".gz": gzip.compress(text),
        ".GZIP": gzip.compress(text) * 2,
        ".bz2": bz2.compress(text),
        ".zst": pa.compress(text, "zstd", asbytes=True),
        ".deflate": zlib.compress(text),
    }
    for ending, content in forms.items():
        (folder / "train" / f"part-0{ending}").write_bytes(content)
    raw = read_recsys2021(spark, folder, now=NOW)
    assert raw.train.count() == 6 * 700
    assert {name: (half.files, half.rows) for name, half in raw.read.items()} == {"train": (5, None), "test": (1, None)}


@pytest.mark.parametrize(
    ("ending", "compress"), [(".gz", gzip.compress), (".zst", lambda text: pa.compress(text, "zstd", asbytes=True))]
)
def test_a_compressed_file_that_breaks_off_is_named(
    spark: SparkSession, tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    draw = random.Random(1)
    text = "".join(f"{line(tweet_id=draw.random())}\n" for _ in range(3000)).encode()
    folder = write_halves(tmp_path / "my data", "", line())
    (folder / "train" / f"part-0{ending}").write_bytes(compress(text)[:-2000])
    found = refused(read_recsys2021(spark, folder, now=NOW).train)
    assert found == f"{folder}/train/part-0{ending} cannot be read: it breaks off before its end; copy it again"
