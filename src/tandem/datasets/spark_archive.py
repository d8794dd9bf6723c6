"""A class-data archive for Spark's Java: the classes that a run loads, parsed and checked once instead of every time.

Starting Spark and planning its first queries is mostly Java loading some 15,000 classes. Java 13 and newer can keep
them in an archive (JEP 350) and map it. Where it does not fit the Java or the jars, Java silently goes without.
"""

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tandem.surroundings import cache_folder, quoted

logger = logging.getLogger(__name__)

NODES = ",".join(
    (
        *("clean_interactions", "split_interactions", "fit_ncf_features", "make_ncf_rows"),
        *("clean_recsys2021", "fit_recsys2021_features", "make_recsys2021_rows", "make_recsys2021_tables"),
    )
)
OPTIONS = "TANDEM_SPARK_ARCHIVE"
TIMEOUT_SECONDS = 300.0
# Java prints what it thinks of an archive on standard output, which is the user's.
SILENT = "-Xlog:cds=off -Xlog:cds+dynamic=off"


def archive_path() -> Path | None:
    """Where the archive of this Java and this Spark is or would be; None without a Java, or without a home for it."""
    java, cache = _java(), cache_folder(os.environ)
    if java is None or cache is None:
        return None
    release = java.parent.parent / "release"
    place = [str(java), str(_jars())]
    # An environment made again in the same folder has the same jars with other times, and Java compares those too.
    jars = (f"{jar.name} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in sorted(_jars().glob("*.jar")))
    state = [release.read_text() if release.is_file() else "", version("pyspark"), *jars]
    return cache / "tandem" / "spark" / f"{_digest(place)}-{_digest(state)}.jsa"


def java_options() -> str:
    """Options for Spark's driver: use the archive where there is one, or (while it is made) write it."""
    writing = os.environ.get(OPTIONS)
    if writing:
        return f"{quoted(f'-XX:ArchiveClassesAtExit={writing}')} {SILENT}"
    path = archive_path()
    if path is None or not os.access(path, os.R_OK):
        return ""
    return f"{quoted(f'-XX:SharedArchiveFile={path}')} -Xshare:auto {SILENT}"


def make_archive(conf: Path) -> Path | None:
    """Make the archive, unless it is there, by a tiny run in a temporary folder; conf: the project's configuration.

    Returns its path, or None where it could not be made: runs are then slower to start, and nothing else.
    """
    path = archive_path()
    if path is None or path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that is read-only, for one
        return None
    for outdated in path.parent.glob(f"{path.stem.partition('-')[0]}-*"):
        outdated.unlink()
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    tandem = Path(sys.executable).parent / "tandem"
    with tempfile.TemporaryDirectory(prefix="tandem-archive-") as folder:
        command = [str(tandem), "run", "--env", "test", "--nodes", NODES, "--conf-source", str(conf.resolve())]
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {OPTIONS: str(partial)}, capture_output=True, text=True, check=False
        )
    if done.returncode != 0 or not _written(partial):
        partial.unlink(missing_ok=True)
        return None
    partial.replace(path)
    return path


def _digest(facts: list[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _java() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    found = Path(home) / "bin" / "java" if home else shutil.which("java")
    return Path(found).resolve() if found and Path(found).exists() else None


def _jars() -> Path:
    spec = importlib.util.find_spec("pyspark")
    # Java is given the real place of its jars, and an archive fits no other.
    return Path(str(spec.origin)).resolve().parent / "jars" if spec is not None else Path()


def _written(path: Path) -> bool:
    """Wait for Java, which writes the archive as it ends, a little after the Python that started it."""
    deadline, size = time.monotonic() + TIMEOUT_SECONDS, -1
    while time.monotonic() < deadline:
        found = path.stat().st_size if path.is_file() else 0
        if found > 0 and found == size:
            return True
        size = found
        time.sleep(2.0)
    return False


if __name__ == "__main__":
    print(make_archive(Path(sys.argv[1])) or "not made")  # noqa: T201 -- the set-up's own line
