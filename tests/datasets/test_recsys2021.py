from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError
from pyspark.sql import SparkSession

from recsys2021_raw_rows import row, table, write_halves
from tandem.datasets import RecSys2021Dataset
from tandem.errors import UserError
from tandem.sources.recsys2021_manifest import MANIFEST


def test_generated_rows_are_made_once_through_a_catalog(spark: SparkSession, tmp_path: Path) -> None:
    entry = {
        "type": "tandem.datasets.RecSys2021Dataset",
        "filepath": str(tmp_path / "recsys2021"),
        "kind": "planted",
        "rows": 300,
        "seed": 3,
    }
    catalog = DataCatalog.from_config({"recsys2021_raw": entry})
    raw = catalog.load("recsys2021_raw")
    assert raw.train.count() + raw.test.count() == 300
    assert 0.6 < raw.best_auc < 1.0
    manifest = tmp_path / "recsys2021" / "planted-300-seed3" / MANIFEST
    written = manifest.stat().st_mtime_ns
    catalog.load("recsys2021_raw")
    assert manifest.stat().st_mtime_ns == written
    assert "300" in repr(catalog["recsys2021_raw"])


def test_rows_of_another_version_are_made_anew(spark: SparkSession, tmp_path: Path) -> None:
    dataset = RecSys2021Dataset(str(tmp_path), kind="noise", rows=100, seed=3)
    assert dataset.load().best_auc == 0.5
    manifest = tmp_path / "noise-100-seed3" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"version": ', '"version": 1000'))
    dataset.load()
    assert '"version": 1000' not in manifest.read_text()


def test_files_are_read_where_they_are(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "files", table(row(), row()), table(row()))
    raw = RecSys2021Dataset(str(folder), kind="files").load()
    assert (raw.train.count(), raw.test.count(), raw.best_auc) == (2, 1, None)


def test_what_is_to_happen_with_times_in_the_future_is_passed_on(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "files", table(row(), row(tweet_timestamp=10**15)))
    assert RecSys2021Dataset(str(folder), kind="files", future="drop").load().train.count() == 1
    assert RecSys2021Dataset(str(folder), kind="files", future="keep").load().train.count() == 2


def test_generated_files_know_their_best_auc(spark: SparkSession, tmp_path: Path) -> None:
    made = RecSys2021Dataset(str(tmp_path), kind="unique", rows=100, seed=3)
    made.load()
    assert RecSys2021Dataset(str(tmp_path / "unique-100-seed3"), kind="files").load().best_auc == 0.5


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist; expected train/ and test/") as raised:
        RecSys2021Dataset(str(tmp_path / "nowhere"), kind="files").load()
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "plant"}, "recsys2021: plant is not known; choose one of planted, noise, unique, files"),
        ({"rows": "many"}, "recsys2021_rows: expected a whole number, found 'many'"),
        ({"rows": 99}, "recsys2021_rows: expected at least 100, found 99"),
        ({"future": "ignore"}, "recsys2021_future: ignore is not known; choose one of error, keep, drop"),
    ],
)
def test_wrong_settings_are_named_before_anything_runs(arguments: dict[str, object], message: str) -> None:
    entry = {"type": "tandem.datasets.RecSys2021Dataset", "filepath": "folder", **arguments}
    with pytest.raises(DatasetError) as raised:
        DataCatalog.from_config({"recsys2021_raw": entry})["recsys2021_raw"]
    assert isinstance(raised.value.__cause__, UserError)
    assert str(raised.value.__cause__) == message


def test_raw_data_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is raw data"):
        RecSys2021Dataset(str(tmp_path)).save("rows")  # type: ignore[arg-type]
