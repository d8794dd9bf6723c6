"""A local server that speaks S3, rclone's, over a folder; and Spark's way into that folder.

Spark's connector for S3 is in no package that the project installs. So Spark reaches ``s3a://BUCKET/...`` by Hadoop's
ViewFileSystemOverloadScheme, which is in its own jars and leads to the folder that the server serves: the addresses,
the committer and the files are the real ones, the requests are those of Arrow alone.
"""

import re
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyarrow import fs
from pyspark.sql import DataFrameWriter, SparkSession

from tandem.datasets import remote_tables
from tandem.storage import filesystems, parquet, tables
from tandem.storage.locations import RemotePath

KEY, SECRET = "tandem-test-key", "tandem-test-secret"
OVERLOAD = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
_AWS = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class S3Server:
    """A running server; folder: has a folder for each bucket."""

    url: str
    control: str
    folder: Path

    def bucket(self) -> RemotePath:
        """A new bucket."""
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        storage = fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, endpoint_override=self.url, allow_bucket_creation=True
        )
        storage.create_dir(name)
        return RemotePath("s3", name, "")

    def disk(self, place: RemotePath) -> Path:
        """Where a file or folder of a bucket is on disk; after a change there: ``look_again``."""
        return self.folder / place.host / place.key

    def look_again(self) -> None:
        """Let the server forget what it knows of the folder: it was changed on disk."""
        request = urllib.request.Request(f"{self.control}vfs/forget", data=b"", method="POST")  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            assert answer.status == 200

    def settings_for_spark(self, place: RemotePath, scheme: str = "s3a") -> dict[str, str]:
        """Hadoop's settings by which Spark finds the bucket on disk."""
        return {
            f"fs.{scheme}.impl": OVERLOAD,
            f"fs.viewfs.overload.scheme.target.{scheme}.impl": "org.apache.hadoop.fs.LocalFileSystem",
            f"fs.viewfs.mounttable.{place.host}.linkFallback": f"file://{self.folder / place.host}",
            # A mount table without a link is none.
            f"fs.viewfs.mounttable.{place.host}.link./.unused": f"file://{self.folder / place.host}",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """The server on a free port of the loopback, until the block ends."""
    folder.mkdir()
    rclone = Path(sys.executable).parent / "rclone"
    command = [str(rclone), "serve", "s3", "--config", "", "--addr", "127.0.0.1:0", "--auth-key", f"{KEY},{SECRET}"]
    command += ["--rc", "--rc-addr", "127.0.0.1:0", "--rc-no-auth", "--vfs-cache-mode", "off", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = ""
            while not (url := re.search(r"s3 server on \[?(http://127\.0\.0\.1:\d+)", said)) or not (
                control := re.search(r"remote control on (http://127\.0\.0\.1:\d+/)", said)
            ):
                line = process.stderr.readline()
                assert line, said
                said += line
            yield S3Server(url[1], control[1], folder)
        finally:
            process.terminate()


def use(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point this process, and those that it starts, at the server."""
    settings = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        # rclone knows no checksums behind the content.
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in _AWS:
        monkeypatch.delenv(name, raising=False)
    write = remote_tables.write_remote

    def write_on_disk(writer: DataFrameWriter, folder: RemotePath) -> None:
        write(writer, folder)
        server.look_again()

    def remove_on_disk(old: RemotePath) -> None:
        """Arrow marks the folder around what it removes, and rclone then takes that folder for a file."""
        path = server.disk(old)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        server.look_again()

    monkeypatch.setattr(remote_tables, "write_remote", write_on_disk)
    monkeypatch.setattr(tables, "_remove", remove_on_disk)
    forget()


def forget() -> None:
    """Open file systems and read footers anew: the environment has changed."""
    filesystems._opened.cache_clear()
    parquet._remote_footer.cache_clear()


def lead_spark(spark: SparkSession, server: S3Server, bucket: RemotePath, scheme: str = "s3a") -> None:
    """Let a running session find a bucket."""
    configuration = spark._jsc.hadoopConfiguration()
    for name, value in server.settings_for_spark(bucket, scheme).items():
        configuration.set(name, value)
