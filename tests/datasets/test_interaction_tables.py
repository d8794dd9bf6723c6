import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError
from pyspark.sql import SparkSession

from tandem.datasets import InteractionTablesDataset
from tandem.errors import UserError
from tandem.sources.synthetic_movielens import write_synthetic_movielens

SIZES = {"users": 20, "items": 30, "ratings": 300}


def test_generated_data_through_a_catalog(spark: SparkSession, tmp_path: Path) -> None:
    entry = {
        "type": "tandem.datasets.InteractionTablesDataset",
        "filepath": str(tmp_path / "movielens"),
        "kind": "synthetic",
        "synthetic": SIZES,
        "seed": 3,
    }
    catalog = DataCatalog.from_config({"movielens": entry})
    raw = catalog.load("movielens")
    assert [table.count() for table in (raw.interactions, raw.users, raw.items)] == [300, 20, 30]
    files = tmp_path / "movielens" / "synthetic-20x30-300-seed3" / "u.data"
    written = files.stat().st_mtime_ns
    catalog.load("movielens")
    assert files.stat().st_mtime_ns == written
    assert "20" in repr(catalog["movielens"])


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UserError, match=r"movielens: ml-10m is not known; choose one of synthetic, ml-100k, ml-1m"):
        InteractionTablesDataset("folder", kind="ml-10m")  # type: ignore[arg-type]
    entry = {"type": "tandem.datasets.InteractionTablesDataset", "filepath": "folder", "kind": "ml-10m"}
    with pytest.raises(DatasetError, match=r"choose one of synthetic") as raised:
        DataCatalog.from_config({"movielens": entry})["movielens"]
    assert isinstance(raised.value.__cause__, UserError)


@pytest.mark.parametrize(
    ("synthetic", "message"),
    [({"user": 5}, "movielens.synthetic.user: Extra inputs"), ({"users": 0}, "movielens.synthetic.users: .*found 0")],
)
def test_a_wrong_size_is_named(synthetic: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        InteractionTablesDataset("folder", synthetic=synthetic)


def test_nothing_is_generated_where_a_log_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^movielens: nothing is generated in {tmp_path}, which is to be read"):
        InteractionTablesDataset("folder", path=str(tmp_path))


def test_a_zip_is_extracted_among_our_own_files(spark: SparkSession, tmp_path: Path) -> None:
    files = write_synthetic_movielens(tmp_path / "made", **SIZES, seed=3)
    given = tmp_path / "given"
    given.mkdir()
    with zipfile.ZipFile(given / "ml-100k.zip", "w") as archive:
        for name in ("u.data", "u.user", "u.item"):
            archive.write(files / name, name)
    raw = InteractionTablesDataset(str(tmp_path / "ours"), kind="ml-100k", path=str(given)).load()
    assert raw.interactions.count() == 300
    assert [file.name for file in given.iterdir()] == ["ml-100k.zip"]
    assert len(list((tmp_path / "ours").iterdir())) == 1


def test_a_missing_folder_is_one_line(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist") as raised:
        InteractionTablesDataset(str(tmp_path / "nowhere"), kind="ml-100k").load()
    assert len(str(raised.value).splitlines()) == 1


def test_raw_data_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is raw data"):
        InteractionTablesDataset(str(tmp_path), kind="ml-100k").save("rows")  # type: ignore[arg-type]


def test_importing_the_datasets_is_cheap() -> None:
    heavy = "{'pyspark', 'torch', 'tensorflow', 'pandas', 'pyarrow', 'numpy'}"
    program = (
        f"import sys, tandem.datasets; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
