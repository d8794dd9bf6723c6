import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3 import S3Server, forget
from tandem.errors import UserError
from tandem.storage import filesystems
from tandem.storage.filesystems import is_file, is_folder, listing, open_binary, read_text, size_of, write_bytes
from tandem.storage.locations import RemotePath
from tandem.storage.parquet import parquet_files, read_footer
from tandem.storage.tables import staged_table

SECONDS = 15.0


def _begin_writing(folder: RemotePath) -> None:
    with staged_table(folder):
        pytest.fail("the storage should have refused it before")


USES: list[Callable[[RemotePath], Any]] = [listing, is_file, is_folder, open_binary, parquet_files, _begin_writing]


def test_files_and_folders_are_told_apart(s3: S3Server) -> None:
    bucket = s3.bucket()
    write_bytes(bucket / "a" / "b.txt", "größer\r\n".encode("latin-1"))
    assert (is_file(bucket / "a"), is_folder(bucket / "a")) == (False, True)
    assert (is_file(bucket / "a/b.txt"), is_folder(bucket / "a/b.txt")) == (True, False)
    assert (is_file(bucket / "c"), is_folder(bucket / "c")) == (False, False)
    assert listing(bucket) == {bucket / "a": None}
    assert listing(bucket, recursive=True) == {bucket / "a": None, bucket / "a/b.txt": 8}
    assert (size_of(bucket / "a/b.txt"), read_text(bucket / "a/b.txt", "latin-1")) == (8, "größer\n")


@pytest.mark.parametrize("use", USES)
def test_a_missing_bucket_is_one_line(s3: S3Server, use: Callable[[RemotePath], Any]) -> None:
    place = RemotePath("s3", "no-such-bucket", "a/b.parquet")
    with pytest.raises(UserError, match=r"^there is no bucket no-such-bucket|b\.parquet does not exist") as caught:
        use(place)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_refused_credentials_are_one_line(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, use: Callable[[RemotePath], Any], wrong: str
) -> None:
    monkeypatch.setenv(wrong, "wrong")
    forget()
    began = time.monotonic()
    with pytest.raises(UserError, match=r"^the storage refuses access to s3://.*check AWS_ACCESS_KEY_ID") as caught:
        use(s3.bucket() / "a")
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("use", USES)
def test_a_storage_that_is_not_there_is_one_line_and_soon(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, use: Callable[[RemotePath], Any]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        forget()
        began = time.monotonic()
        with pytest.raises(UserError, match=r"^http://127\.0\.0\.1:\d+ cannot be reached for s3://") as caught:
            use(RemotePath("s3", "bucket", "a"))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < SECONDS


def test_hdfs_without_hadoops_library_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HADOOP_HOME", "ARROW_LIBHDFS_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    forget()
    with pytest.raises(UserError, match=r"hdfs://node:8020/a: libhdfs or Java is not found; set HADOOP_HOME"):
        listing(RemotePath("hdfs", "node:8020", "a"))


def test_a_path_keeps_its_own_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_binary(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        read_footer(tmp_path / "none")


def test_a_storage_is_opened_once(s3: S3Server) -> None:
    bucket = s3.bucket()
    assert filesystems.filesystem(bucket / "a") is filesystems.filesystem(bucket / "b")


def test_other_hosts_are_told_how_to_enter_the_storage(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_OTHER", "1")
    names = filesystems.storage_variables()
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"} <= set(names)
    assert "TANDEM_OTHER" not in names


def test_other_hosts_are_told_where_java_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow looks for libjvm in JAVA_HOME, and a shell that ssh opens has read no profile that would set it."""
    for name in ("JAVA_HOME", "HADOOP_HOME", "CLASSPATH"):
        monkeypatch.setenv(name, "/somewhere")
    assert {"JAVA_HOME", "HADOOP_HOME", "CLASSPATH"} <= set(filesystems.storage_variables())
