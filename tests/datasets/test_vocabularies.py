import pytest

from tandem.datasets.user_errors import DatasetUserError
from tandem.datasets.vocabularies import VocabulariesDataset

ROWS = [("user", "ann", 1, 5), ("user", "bob", 2, 3), ("tweet", "t", 1, 8)]
SCHEMA = "name string, value string, id int, count long"


@pytest.fixture
def dataset(tmp_path):
    return VocabulariesDataset(str(tmp_path / "vocabularies"), ["user", "tweet", "link"])


def test_each_vocabulary_is_a_folder_of_its_own(spark, dataset, tmp_path):
    dataset.save(spark.createDataFrame(ROWS, SCHEMA).repartition(2))
    folder = tmp_path / "vocabularies"
    assert {path.name for path in folder.iterdir()} == {"user.parquet", "tweet.parquet", "link.parquet"}
    found = dataset.load()
    assert [tuple(row) for row in found["user"].orderBy("id").collect()] == [("ann", 1, 5), ("bob", 2, 3)]
    assert [tuple(row) for row in found["tweet"].collect()] == [("t", 1, 8)]
    assert found["link"].count() == 0


def test_a_later_save_replaces_all_of_them(spark, dataset, tmp_path):
    dataset.save(spark.createDataFrame(ROWS, SCHEMA))
    dataset.save(spark.createDataFrame(ROWS[2:], SCHEMA))
    assert dataset.load()["user"].count() == 0
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_parts_are_named_the_same_every_time(spark, dataset, tmp_path):
    for _ in range(2):
        dataset.save(spark.createDataFrame(ROWS, SCHEMA).coalesce(1))
        assert [path.name for path in (tmp_path / "vocabularies" / "user.parquet").iterdir()] == ["part-00000.parquet"]


def test_a_missing_folder_is_said(dataset):
    with pytest.raises(DatasetUserError, match="does not exist; make it first: run the whole pipeline"):
        dataset.load()


def test_a_folder_may_have_any_name(spark, tmp_path):
    odd = VocabulariesDataset(str(tmp_path / "a [1]{2,3} #4: %20" / "vocabularies"), ["user", "tweet"])
    odd.save(spark.createDataFrame(ROWS, SCHEMA))
    assert odd.load()["user"].count() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a [1]{2,3} #4: %20"]


def test_no_vocabularies_replace_none_that_are_not_there(spark, dataset):
    dataset.save(spark.createDataFrame(ROWS, SCHEMA))
    with pytest.raises(DatasetUserError, match=r"vocabularies stays as it was: 4 rows were written, and 3 are in"):
        dataset.save(spark.createDataFrame([*ROWS, ("another", "x", 1, 1)], SCHEMA))
    assert dataset.load()["user"].count() == 2
    dataset.save(spark.createDataFrame([], SCHEMA))
    assert [found.count() for found in dataset.load().values()] == [0, 0, 0]
