import os
import shutil
import subprocess
from pathlib import Path

import pyspark
import pytest

from tandem.datasets import spark_archive


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of jars of our own in Spark's place, and a cache of our own."""
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "spark.jar").write_bytes(b"classes")
    monkeypatch.setattr(spark_archive, "_jars", lambda: folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_jars_installed_again_have_another_archive_as_java_compares_their_times(jars: Path) -> None:
    before = spark_archive.archive_path()
    os.utime(jars / "spark.jar", (1, 1))
    assert spark_archive.archive_path() != before


def test_an_archive_that_does_not_fit_is_not_spoken_of(jars: Path, tmp_path: Path) -> None:
    java = shutil.which("java")
    assert java is not None
    jar = tmp_path / "ivy.jar"
    shutil.copy(next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar")), jar)
    command = ["-cp", str(jar), "org.apache.ivy.Main", "-version"]
    path = spark_archive.archive_path()
    assert path is not None
    path.parent.mkdir(parents=True)
    subprocess.run([java, f"-XX:ArchiveClassesAtExit={path}", *command], capture_output=True, check=True)
    os.utime(jar, (1, 1))
    options = spark_archive.java_options().split()
    done = subprocess.run([java, *options, *command], capture_output=True, text=True, check=True)
    assert str(path) in options[0]
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == ["Apache"]
