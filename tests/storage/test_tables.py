import json

import pyarrow as pa
import pytest

from s3 import S3Server
from tandem.storage.locations import RemotePath
from tandem.storage.parquet import parquet_files, read_table, write_table
from tandem.storage.tables import staged_table, table_files


def _write(folder: RemotePath, *numbers: int) -> None:
    with staged_table(folder) as staging:
        for number in numbers:
            write_table(pa.table({"a": [number]}), staging / f"part-{number:05d}.parquet")


def _numbers(folder: RemotePath) -> list[int]:
    return [int(number) for number in read_table(folder).column("a").to_pylist()]


def test_what_was_written_is_read_in_the_order_of_its_files(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    assert table_files(folder) is None
    _write(folder, 2, 0, 1)
    assert _numbers(folder) == [0, 1, 2]


def test_a_second_write_takes_the_place_of_the_first_and_leaves_nothing_of_it(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    _write(folder, 1, 2)
    _write(folder, 3)
    assert _numbers(folder) == [3]
    files = [path.relative_to(s3.disk(folder)) for path in s3.disk(folder).rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == ["_begun", "_manifest-000002.json", "part-00003.parquet"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_write_that_fails_leaves_the_table_as_it_was(s3: S3Server, error: type[BaseException]) -> None:
    folder = s3.bucket() / "train.parquet"
    _write(folder, 1)
    before = {path: path.read_bytes() for path in s3.disk(folder).rglob("*") if path.is_file()}

    def fail() -> None:
        with staged_table(folder) as staging:
            write_table(pa.table({"a": [2]}), staging / "part-00000.parquet")
            raise error

    with pytest.raises(error):
        fail()
    assert {path: path.read_bytes() for path in s3.disk(folder).rglob("*") if path.is_file()} == before


def test_what_a_killed_write_left_is_not_read_and_goes_with_the_next(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    _write(folder, 1)
    left = s3.disk(folder) / "0123456789ab"
    left.mkdir()
    (left / "part-00000.parquet").write_bytes(b"half")
    s3.look_again()
    assert _numbers(folder) == [1]
    _write(folder, 2)
    assert _numbers(folder) == [2]
    assert not left.exists()


def test_a_manifest_that_broke_off_is_passed_over(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    _write(folder, 1)
    whole = json.loads((s3.disk(folder) / "_manifest-000001.json").read_text())
    (s3.disk(folder) / "_manifest-000002.json").write_text('{"files": ["aaaaaaaaaaaa/part-0')
    s3.look_again()
    assert [str(file).removeprefix(f"{folder}/") for file in table_files(folder) or ()] == whole["files"]
    _write(folder, 2)
    assert _numbers(folder) == [2]


def test_only_the_parquet_files_of_a_write_are_the_table(s3: S3Server) -> None:
    folder = s3.bucket() / "train.parquet"
    with staged_table(folder) as staging:
        write_table(pa.table({"a": [1]}), staging / "name=x" / "part-00000.parquet")
        write_table(pa.table({"a": [2]}), staging / "_temporary" / "0" / "part-00000.parquet")
    assert [str(file).rpartition("/name=")[2] for file in parquet_files(folder)] == ["x/part-00000.parquet"]


def test_parquet_files_without_a_manifest_are_a_table_as_well(s3: S3Server) -> None:
    folder = s3.bucket() / "made-elsewhere"
    for number in (2, 1):
        write_table(pa.table({"a": [number]}), folder / f"{number}.parquet")
    assert _numbers(folder) == [1, 2]
