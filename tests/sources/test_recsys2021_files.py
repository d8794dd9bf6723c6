import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys2021_raw_rows import NAMES, line, row, table, write_halves
from refusals import refuse
from tandem.errors import UserError
from tandem.sources.recsys2021_files import locate_recsys2021


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as raised:
        locate_recsys2021(folder)
    assert len(str(raised.value).splitlines()) == 1
    return str(raised.value)


def test_files_of_any_name_in_their_order(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()))
    for name in ("part-00001", "b.parquet.snappy", "a"):
        pq.write_table(table(row()), folder / "train" / name)
    for name in ("_SUCCESS", ".part-00000.crc"):
        (folder / "train" / name).write_text("no rows")
    found = locate_recsys2021(folder)
    assert [path.name for group in found.train for path in group.paths] == [
        "a",
        "b.parquet.snappy",
        "part-00000.snappy.parquet",
        "part-00001",
    ]
    assert len(found.train) == len(found.test) == 1


def test_raw_files_are_known_by_what_they_are(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", line() + "\n")
    (folder / "train" / "part-00000").rename(folder / "train" / "part-00000.parquet")
    (folder / "train" / "part-00001").touch()
    (group,) = locate_recsys2021(folder).train
    assert group.columns is None
    assert [path.name for path in group.paths] == ["part-00000.parquet"]


def test_a_file_that_may_not_be_read_is_not_said_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_halves(tmp_path / "data", line() + "\n")
    refuse(folder / "test" / "part-00000", monkeypatch)
    assert refused(folder).startswith(f"cannot read {folder}/test/part-00000: Permission denied; give its user the")


def test_the_misspelt_columns_are_found_under_their_own_names(tmp_path: Path) -> None:
    spelt = {"text_tokens": "text_ tokens", "retweet_timestamp": "retweet_timestampe"}
    wrong = table(row()).rename_columns([spelt.get(name, name) for name in NAMES])
    (group,) = locate_recsys2021(write_halves(tmp_path / "data", wrong)).test
    assert group.columns is not None
    assert list(group.columns) == list(NAMES)
    assert {name: found for name, found in group.columns.items() if name != found} == spelt


def test_missing_folders_are_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").startswith(f"no RecSys Challenge 2021 data: {tmp_path}/nowhere does not exist")
    folder = write_halves(tmp_path / "data", line())
    (folder / "test" / "part-00000").unlink()
    assert refused(folder).startswith(f"{folder}/test has no rows; expected train/ and test/ with part files")
    (folder / "test").rmdir()
    assert refused(folder).startswith(f"{folder}/test is missing; expected train/ and test/")


def test_empty_files_are_no_rows(tmp_path: Path) -> None:
    assert refused(write_halves(tmp_path / "raw", line(), "")).startswith(f"{tmp_path}/raw/test has no rows")
    folder = write_halves(tmp_path / "parquet", table(row()), table())
    assert refused(folder).startswith(f"{folder}/test has no rows")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda rows: rows.drop_columns("like_timestamp"), "expected 24 columns, found 23: like_timestamp is missing;"),
        (
            lambda rows: rows.append_column("clicks", pa.array([1])),
            "expected 24 columns, found 25: clicks is not one of the challenge's; remove it",
        ),
        (
            lambda rows: rows.append_column("text_ tokens", pa.array(["A"])),
            "expected 24 columns, found 25: text_tokens stands there twice; remove one of them",
        ),
        (
            lambda rows: rows.rename_columns([name.replace("enaging_user_id", "engaging_user_id") for name in NAMES]),
            "expected 24 columns, found 24: enaging_user_id is missing; did you mean engaging_user_id?; add it",
        ),
        (
            lambda rows: rows.set_column(1, "hashtags", pa.array([["A", "B"]])),
            "column hashtags: expected text, found the type list<element: string>; convert it",
        ),
        (
            lambda rows: rows.set_column(10, "engaged_with_user_follower_count", pa.array([True])),
            "column engaged_with_user_follower_count: expected a whole number from 0, found the type bool; convert it",
        ),
    ],
)
def test_other_columns_than_the_published_are_named(tmp_path: Path, change, what: str) -> None:  # type: ignore[no-untyped-def]
    folder = write_halves(tmp_path / "data", table(row()), change(table(row())))
    assert refused(folder).startswith(f"{folder}/test/part-00000.snappy.parquet: {what}")


def test_mixed_broken_and_nested_files_are_named(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()))
    (folder / "train" / "part-1").write_text(line())
    assert "train mixes forms: part-00000.snappy.parquet is Parquet, part-1 is not" in refused(folder)
    (folder / "train" / "part-1").write_bytes(b"PAR1 and no more")
    assert refused(folder).startswith(f"{folder}/train/part-1 is not an intact Parquet file (")
    (folder / "train" / "part-1").unlink()
    (folder / "train" / "day=1").mkdir()
    assert refused(folder).startswith(f"{folder}/train/day=1 is a folder; put its part files directly into")


TEXT = f"{line()}\n".encode()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("part.lz4", pa.compress(TEXT, "lz4", asbytes=True), " is LZ4 by its name, which is not read; decompress it"),
        ("part.snappy", b"\xff\x06\x00\x00sNaPpY", " is Snappy by its name, which is not read; decompress it, or"),
        ("part.zip", b"PK\x03\x04", " is a zip by its name, which is not read; decompress it, or compress it by gzip"),
        ("part", b"\xfd7zXZ\x00", " is xz by its first bytes, and its name does not say so; decompress it, or"),
        ("part", gzip.compress(TEXT), " is gzip by its first bytes, and its name does not say so; call it part.gz"),
        (
            "part.txt",
            bz2.compress(TEXT),
            " is bzip2 by its first bytes, and its name does not say so; call it part.txt",
        ),
        ("part.gz", TEXT, " is not gzip, as its name says; rename or copy it"),
        ("part.BZ2", TEXT, " is not bzip2, as its name says; rename or copy it"),
        ("part.zst", TEXT, " is not Zstandard, as its name says; rename or copy it"),
        ("part.deflate", TEXT, " is not deflate, as its name says; rename or copy it"),
        ("part.gz", gzip.compress(TEXT)[:40], " is not an intact gzip file ("),
        ("part", b"\n\r\n\n", " has 4 bytes and no row; remove it, or copy it again"),
        ("part.gz", gzip.compress(b"\n" * 9000), " bytes and no row; remove it, or copy it again"),
        ("part", b"\xef\xbb\xbf" + TEXT, " begins with the byte order mark of UTF-8; write it in UTF-8 without a mark"),
        ("part", TEXT.decode().encode("utf-16"), " begins with the byte order mark of UTF-16; write it in UTF-8"),
        ("part", TEXT.decode().encode("utf-16-le"), " holds bytes of value 0 (UTF-16?); write it as text in UTF-8"),
    ],
)
def test_raw_files_that_spark_would_misread_are_named(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    folder = write_halves(tmp_path / "data", line())
    (folder / "train" / name).write_bytes(content)
    assert refused(folder).startswith(f"{folder}/train/{name} ")
    assert what in refused(folder)


def test_links_to_files_are_followed_and_those_to_nothing_named(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row(), row()))
    (folder / "train" / "linked").symlink_to(folder / "test" / "part-00000.snappy.parquet")
    train = locate_recsys2021(folder).halves["train"]
    assert (train.files, train.rows) == (2, 4)
    (folder / "train" / "gone").symlink_to(tmp_path / "nowhere")
    assert refused(folder) == (
        f"{folder}/train/gone is a link to {tmp_path}/nowhere, which is not there; mend or remove the link"
    )


def test_a_half_that_is_a_table_of_delta_is_refused(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()))
    (folder / "test" / "_delta_log").mkdir()
    assert refused(folder).startswith(f"{folder}/test is a Delta table: its files hold rows that were deleted or")


def test_files_that_differ_in_the_order_of_their_columns_are_one_group(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()))
    pq.write_table(table(row()).select(range(23, -1, -1)), folder / "train" / "other")
    assert len(locate_recsys2021(folder).train) == 1


def test_a_codec_that_java_has_not_is_named(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "data", table(row()))
    pq.write_table(table(row()), folder / "test" / "other", compression="brotli")
    assert refused(folder).startswith(f"{folder}/test/other: column text_tokens is compressed by BROTLI, which Spark's")
