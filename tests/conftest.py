"""What every test shares: one Spark session, started on first use."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from projects import Project
from s3 import S3Server, forget, s3_server, use
from tandem.datasets.spark_archive import java_options
from tandem.datasets.spark_session import keep_lookups

os.environ.setdefault("DO_NOT_TRACK", "1")
# Else Spark's own Python processes are those of whatever python3 is first on PATH.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


SPARK = {
    "spark.master": "local[2]",
    "spark.app.name": "tandem-tests",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "FATAL",
    "spark.driver.memory": "2500m",
    "spark.sql.shuffle.partitions": "2",
    # Planning anew between stages costs more than stages of a few rows; what a setting may change, a test switches.
    "spark.sql.adaptive.enabled": "false",
    # As in conf/base: names that differ in case are two.
    "spark.sql.caseSensitive": "true",
    # As in conf/base: each task takes memory in small pages.
    "spark.buffer.pageSize": "2m",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    # As in conf/base: deriving filters from checks of many columns takes longer than the tests, and so does telling
    # Java the line of each column.
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # One Java lives for all tests, long enough for its optimising compiler to pay: it works beside them.
    "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -Xms1500m -Xmn1000m -XX:MetaspaceSize=400m {java_options()}",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Here, and not beside the fuzz lane: of a whole run, pytest asks only this file for options."""
    group = parser.getgroup("fuzz", "odd logs for the readers")
    group.addoption("--fuzz-tables", type=int, default=40, help="how many logs are tried")
    group.addoption("--fuzz-seed", type=int, default=0, help="the first log's seed; each has one of its own")
    parser.addoption("--light", action="store_true", help="only tests that start no Spark, no rank and no server")


# What a test, or its module, has that starts processes: `make check` leaves them to `make test`.
STARTING_FIXTURES = {"spark", "finished", "finished_recsys2021", "running_s3", "project"}
STARTING_NAMES = {"launch", "launching_process", "launches", "subprocess", "CliRunner", "Project", "TwoHosts", "main"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--light"):
        return
    heavy = [item for item in items if _starts_processes(item)]
    config.hook.pytest_deselected(items=heavy)
    items[:] = [item for item in items if item not in set(heavy)]


def _starts_processes(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    module = vars(getattr(item, "module", item))
    return bool(item.get_closest_marker("slow") or fixtures & STARTING_FIXTURES or STARTING_NAMES & module.keys())


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A local Spark session, sized for tiny data."""
    logging.getLogger("py4j").setLevel(logging.WARNING)
    session = SparkSession.builder.config(map=SPARK).getOrCreate()
    keep_lookups(session)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def movielens_dir() -> Path:
    """The folder with the published ``ml-100k`` and ``ml-1m``, which cannot be distributed with the project."""
    folder = os.environ.get("TANDEM_DATA_DIR", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("TANDEM_DATA_DIR names no folder with the published MovieLens data")
    return Path(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without data."""
    return Project.create(tmp_path / "project")


@pytest.fixture(scope="session")
def finished(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which the whole of NCF has run once, on generated data and two ranks; to look at, not to change."""
    made = Project.create(tmp_path_factory.mktemp("finished") / "project")
    done = made.run("--params", "distributed.num_ranks=2")
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="session")
def finished_recsys2021(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same of Wide & Deep, the two-tower model and the lists that need both."""
    made = Project.create(tmp_path_factory.mktemp("finished_recsys2021") / "project")
    done = made.run("--params", "distributed.num_ranks=2", tags="recsys2021")
    assert done.code == 0, done.err
    return made


@pytest.fixture(scope="session")
def running_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that speaks S3, for all tests that need one."""
    with s3_server(tmp_path_factory.mktemp("s3") / "buckets") as server:
        yield server


@pytest.fixture
def s3(running_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The same, with this process's environment pointing at it."""
    use(running_s3, monkeypatch)
    yield running_s3
    forget()
