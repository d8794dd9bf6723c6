"""What Java says of a place becomes one line, which names the place and what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.datasets.spark_errors import shown_path, spark_line

FULL = """\
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from tandem.datasets.spark_errors import spark_line

place = Path(sys.argv[1])
settings = {
    "spark.master": "local[2]", "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL", "spark.driver.memory": "600m", "spark.local.dir": str(place / "local"),
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
}
spark = SparkSession.builder.config(map=settings).getOrCreate()
rows = spark.range(200_000).selectExpr("id", "uuid() as text")
tried = {
    "full": lambda: rows.write.parquet(f"file://{place}/full/.ta ble.new-0123abcd"),
    "text": lambda: rows.select("text").write.text(f"file://{place}/full/text"),
    "read-only": lambda: rows.limit(1).write.parquet(f"file://{place}/fixed/table"),
    "file": lambda: rows.limit(1).write.parquet(f"file://{place}/file/table"),
    "shuffle": lambda: rows.repartition(3, "text").write.parquet(f"file://{place}/table"),
    "sort": lambda: rows.orderBy("text").collect(),
}
for name, attempt in tried.items():
    try:
        attempt()
    except Exception as error:
        print(name, spark_line(error), sep=": ", flush=True)
"""
MOUNTS = (
    "mount -t tmpfs tmpfs {0} && mkdir {0}/full {0}/local {0}/fixed && touch {0}/file"
    " && mount -t tmpfs -o size=300k tmpfs {0}/full && mount -t tmpfs -o size=1m tmpfs {0}/local"
    " && mount -t tmpfs -o ro tmpfs {0}/fixed && exec {1} {2} {0}"
)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="to mount takes root and unshare")
@pytest.mark.slow
def test_places_that_are_full_or_cannot_be_written_are_named(tmp_path: Path) -> None:
    place, program = tmp_path / "place", tmp_path / "full.py"
    place.mkdir()
    program.write_text(FULL)
    command = ["unshare", "-m", "sh", "-c", MOUNTS.format(place, sys.executable, program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    told = dict(line.split(": ", 1) for line in ended.stdout.splitlines())
    full = "No space left on device; make room there, or "
    assert told == {
        "full": f"cannot write {place}/full/ta ble: {full}choose another place",
        "text": f"cannot write {place}/full/text: {full}choose another place",
        "read-only": f"cannot write {place}/fixed/table: no folder can be made there; make the place writable, or "
        "choose another",
        "file": f"cannot write below {place}/file: it is a file, and a folder belongs there; move it away, or choose "
        "another place",
        "shuffle": f"Spark cannot write what it works with to {place}/local: {full}set spark.local.dir in "
        "conf/*/spark.yml to another place",
        "sort": f"Spark cannot write what it works with to {place}/local: {full}set spark.local.dir in "
        "conf/*/spark.yml to another place",
    }, ended.stderr


class _JavaError(Exception):
    """Stands for an error of Spark's, whose text alone is looked at."""


_JavaError.__module__ = "py4j.protocol"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "Caused by: java.nio.file.AccessDeniedException: /data/my table/part-0.parquet\n\tat sun.nio",
            "Spark cannot use /data/my table/part-0.parquet: Permission denied; give the user of this run the right",
        ),
        (
            "java.io.FileNotFoundException: /tmp/blockmgr-1/0a/temp_shuffle_1 (Too many open files)\n"
            "\tat java.base/java.io.FileOutputStream.open0(Native Method)\n"
            "\tat org.apache.spark.storage.DiskBlockObjectWriter.initialize(DiskBlockObjectWriter.scala:1)",
            "Spark cannot write what it works with to ",
        ),
        (
            "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///data/a%20b.parquet. SQLSTATE: K\n"
            "Caused by: java.io.IOException: Input/output error\n\tat org.apache.hadoop.fs.RawLocalFileSystem.read(R)",
            "cannot read /data/a b.parquet: Input/output error; the device fails",
        ),
        (
            "java.lang.UnsatisfiedLinkError: /scratch/snappy-1-libsnappyjava.so: /scratch/snappy-1-libsnappyjava.so: "
            "failed to map segment from shared object: Operation not permitted",
            "Java cannot run the libraries that it unpacks to /scratch: the place is mounted noexec; give Java another",
        ),
        (
            "java.io.IOException: Disk quota exceeded\n\tat org.apache.hadoop.fs.RawLocalFileSystem.write(R.java:1)",
            "Spark met a place that it cannot use: Disk quota exceeded; make room there",
        ),
        (
            "org.apache.hadoop.security.AccessControlException: Permission denied: user=me, inode=/x on hdfs://host/x",
            "Spark cannot use hdfs://host/x: Permission denied: user=me, inode=/x on hdfs://host/x; docs/storage.md",
        ),
        (
            "Caused by: java.lang.IllegalArgumentException: newLimit > capacity: (33554438 > 6)\n\tat java.nio.Buffer",
            "one of the files that are read is not intact (IllegalArgumentException: newLimit > capacity); copy them",
        ),
    ],
)
def test_the_words_of_java_are_known(said: str, line: str) -> None:
    told = spark_line(_JavaError(said))
    assert told is not None
    assert told.startswith(line)


def test_what_is_no_fault_of_a_place_or_not_sparks_has_no_line() -> None:
    assert spark_line(_JavaError("java.lang.NullPointerException\n\tat org.apache.spark.storage.X")) is None
    assert spark_line(OSError("No space left on device")) is None


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:///a/b%20c", "/a/b c"),
        ("file:/a/b%20c", "/a/b%20c"),
        ("file:///a/.rows.parquet.new-0123abcd/_temporary/0/x", "/a/rows.parquet"),
        ("/a/100%25", "/a/100%25"),
    ],
)
def test_an_address_of_sparks_is_shown_as_a_path(address: str, path: str) -> None:
    assert shown_path(address) == path
