from pathlib import Path

import pytest
from pydantic import BaseModel

from tandem.errors import UserError
from tandem.storage.locations import Location, RemotePath, local_path, location, spark_address, spark_pattern


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("data/01_raw", Path("data/01_raw")),
        ("/a b/c", Path("/a b/c")),
        ("file:///a%20b", Path("/a b")),
        ("s3://bucket/a/b/", RemotePath("s3", "bucket", "a/b")),
        ("S3A://bucket", RemotePath("s3a", "bucket", "")),
        ("hdfs://node:8020//user//me", RemotePath("hdfs", "node:8020", "user/me")),
        ("viewfs://cluster/a", RemotePath("viewfs", "cluster", "a")),
    ],
)
def test_a_text_is_a_path_or_an_address(given: str, place: Path | RemotePath) -> None:
    assert location(given) == place


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gs://bucket/a", "gs:// is not known"),
        ("s3:///a", "names no bucket"),
        ("hdfs:///a", "names no host"),
        ("s3://key:secret@bucket/a", "credentials have no place in an address"),
        ("s3:/bucket/a", r"^s3:/bucket/a is no address: write s3://, or ./s3:/bucket/a for a folder"),
        ("hdfs:bucket", "is no address: write hdfs://"),
        (2024, r"^expected a path or an address, found the number 2024; .* as in ./2024$"),
        (True, r"found the word true; .* as in ./true$"),
        (None, r"found nothing \(an empty variable of the shell\?\)"),
        ("", "found nothing"),
        (["a"], r"found \['a'\]; write a text"),
        ("~nobody-has-this-name/x", "no home folder is known for ~nobody-has-this-name; write the whole path"),
    ],
)
def test_what_is_no_place_is_refused_in_one_line(given: object, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        location(given)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert location("~") == Path("/home/me")
    assert location("~/logs") == Path("/home/me/logs")
    assert location("./~") == Path("~")
    assert location("a~b") == Path("a~b")


def test_names_are_joined_as_in_a_path() -> None:
    folder = RemotePath("s3", "bucket", "")
    assert str(folder / "a" / "b/c") == "s3://bucket/a/b/c"
    assert (folder / "a" / "b.parquet").name == "b.parquet"


def test_spark_takes_s3_by_its_own_connector_and_names_literally() -> None:
    assert spark_address(location("hdfs://node:8020/a")) == "hdfs://node:8020/a"
    assert spark_address(Path("/a{b}")) == "file:///a{b}"
    assert spark_pattern(Path("/a{b}")) == r"file:///a\{b\}"
    assert spark_pattern(location("s3://bucket/a[1]/b")) == r"s3a://bucket/a\[1\]/b"
    assert spark_address(Path("a")) == f"file://{Path.cwd()}/a"
    assert spark_address(location("s3://bucket/a[1]/b")) == "s3a://bucket/a[1]/b"


class _Job(BaseModel):
    train: Location


@pytest.mark.parametrize("given", ["/data/train.parquet", "s3://bucket/train.parquet"])
def test_a_job_keeps_its_places_in_json(given: str) -> None:
    job = _Job(train=location(given))
    assert _Job.model_validate_json(job.model_dump_json()) == job
    assert isinstance(job.train, Path) is given.startswith("/")


def test_what_is_kept_on_this_machine_has_no_address() -> None:
    with pytest.raises(UserError, match=r"^s3://bucket/raw is an address; .* on this machine: give a path"):
        local_path("s3://bucket/raw")
    assert local_path("data/01_raw") == Path("data/01_raw")
