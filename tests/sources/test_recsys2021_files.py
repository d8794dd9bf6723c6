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
