from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.datasets import ParquetFolderDataset
from tandem.errors import UserError


def _entry(path: Path, **more: str) -> dict[str, str]:
    return {"type": "tandem.datasets.ParquetFolderDataset", "filepath": str(path), **more}


def test_transcoded_entries_share_one_folder(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "rows.parquet"
    catalog = DataCatalog.from_config(
        {
            "rows@spark": _entry(path),
            "rows@path": _entry(path, load_as="path"),
            "rows@arrow": _entry(path, load_as="arrow", compression="zstd"),
        }
    )
    catalog.save("rows@spark", spark.range(5).repartition(2))
    assert sorted(row["id"] for row in catalog.load("rows@spark").collect()) == [0, 1, 2, 3, 4]
    assert catalog.load("rows@path") == path
    assert sorted(catalog.load("rows@arrow")["id"].to_pylist()) == [0, 1, 2, 3, 4]
    assert all(file.name.startswith("part-") and file.suffix == ".parquet" for file in path.iterdir())
    assert len(list(path.iterdir())) == 2

    catalog.save("rows@arrow", pa.table({"id": [7, 8]}))
    assert sorted(row["id"] for row in catalog.load("rows@spark").collect()) == [7, 8]
    assert [file.name for file in path.iterdir()] == ["part-00000.parquet"]
    assert pq.ParquetFile(path / "part-00000.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    assert [entry.name for entry in path.parent.iterdir()] == ["rows.parquet"]


def test_a_failed_spark_write_leaves_the_old_rows(spark: SparkSession, tmp_path: Path) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"), load_as="arrow")
    dataset.save(pa.table({"id": [1]}))
    failing = spark.range(4).select(F.when(F.col("id") == 3, F.raise_error(F.lit("on purpose"))).otherwise(F.col("id")))
    with pytest.raises(Exception, match=r"on purpose"):
        dataset.save(failing)
    assert dataset.load().to_pydict() == {"id": [1]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows"]


def test_an_interrupted_write_leaves_the_old_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"), load_as="arrow")
    dataset.save(pa.table({"id": [1]}))

    def interrupted(_table: pa.Table, file: Path, **_options: str) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dataset.save(pa.table({"id": [2]}))
    assert dataset.load().to_pydict() == {"id": [1]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows"]


def test_rows_can_be_replaced_by_rows_made_of_them(spark: SparkSession, tmp_path: Path) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"))
    dataset.save(spark.range(3).coalesce(1))
    dataset.save(dataset.load().select((F.col("id") + 10).alias("id")))
    assert sorted(row["id"] for row in dataset.load().collect()) == [10, 11, 12]


@pytest.mark.parametrize("load_as", ["spark", "path", "arrow"])
def test_a_missing_folder_says_how_to_make_it(tmp_path: Path, load_as: str) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"), load_as=load_as, made_by="kedro run --tags ncf")  # type: ignore[arg-type]
    assert not dataset.exists()
    with pytest.raises(UserError, match=r"rows does not exist; make it first: kedro run --tags ncf"):
        dataset.load()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file/rows"):
        ParquetFolderDataset(str(tmp_path / "file" / "rows")).save(pa.table({"id": [1]}))


def test_an_unknown_choice_is_named() -> None:
    with pytest.raises(UserError, match=r"load_as: pandas is not known; choose one of spark, arrow, path"):
        ParquetFolderDataset("rows", load_as="pandas")  # type: ignore[arg-type]


def test_the_preview_shows_the_first_rows(tmp_path: Path) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"))
    dataset.save(pa.table({"id": list(range(100)), "name": ["x"] * 100}))
    preview = dataset.preview()
    assert preview["columns"] == ["id", "name"]
    assert preview["data"][:2] == [[0, "x"], [1, "x"]]
    assert len(preview["data"]) == len(preview["index"]) == 10


@pytest.mark.parametrize(
    ("name", "meant"),
    [("exp[12]", "exp1"), ("exp{a,b}", "expa"), ("a%20b", "a b"), ("a#b: c?*", "a"), ("Füße, 日本", "F")],
)
def test_a_folder_of_any_name_is_itself_and_no_other(
    spark: SparkSession, tmp_path: Path, name: str, meant: str
) -> None:
    ParquetFolderDataset(str(tmp_path / meant / "rows")).save(pa.table({"id": [1]}))
    dataset = ParquetFolderDataset(str(tmp_path / name / "rows"))
    dataset.save(spark.range(2, 4).coalesce(1))
    assert sorted(row["id"] for row in dataset.load().collect()) == [2, 3]
    assert pq.read_table(tmp_path / name / "rows")["id"].to_pylist() == [2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, meant])


def test_a_folder_of_this_machine_is_one_whatever_hadoop_has_for_default(spark: SparkSession, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    settings = {
        "fs.defaultFS": "viewfs://cluster",
        f"fs.viewfs.mounttable.cluster.link./{tmp_path.parts[1]}": elsewhere.as_uri(),
    }
    hadoop = spark._jsc.hadoopConfiguration()
    before = {name: hadoop.get(name) for name in settings}
    for name, value in settings.items():
        hadoop.set(name, value)
    try:
        dataset = ParquetFolderDataset(str(tmp_path / "rows"))
        dataset.save(spark.range(3).coalesce(1))
        assert sorted(row["id"] for row in dataset.load().collect()) == [0, 1, 2]
    finally:
        for name, value in before.items():
            hadoop.unset(name) if value is None else hadoop.set(name, value)
    assert list(elsewhere.iterdir()) == []
    assert [file.name for file in (tmp_path / "rows").iterdir()] == ["part-00000.parquet"]


class _Losing(ParquetFolderDataset):
    """Of what was written the last file is lost, or broken, before it takes its place."""

    how = "lost"

    def _write_spark(self, data: DataFrame, folder: Path) -> int:
        rows = super()._write_spark(data, folder)
        last = max(folder.iterdir())
        if self.how == "lost":
            last.unlink()
        else:
            last.write_bytes(last.read_bytes()[:-9])
        return rows


@pytest.mark.parametrize(("how", "said"), [("lost", "4 rows were written, and 2 are in"), ("broken", "is broken")])
def test_rows_that_are_not_there_replace_nothing(spark: SparkSession, tmp_path: Path, how: str, said: str) -> None:
    dataset = _Losing(str(tmp_path / "rows"), load_as="arrow")
    dataset.how = how
    dataset.save(pa.table({"id": [1]}))
    with pytest.raises(UserError, match=rf"rows stays as it was: .*{said}.*run again"):
        dataset.save(spark.range(4).repartition(2))
    assert dataset.load().to_pydict() == {"id": [1]}
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows"]


@pytest.mark.parametrize("adaptive", ["true", "false"])
def test_no_rows_are_a_table_too(spark: SparkSession, tmp_path: Path, adaptive: str) -> None:
    dataset = ParquetFolderDataset(str(tmp_path / "rows"))
    name = "spark.sql.adaptive.enabled"
    before = spark.conf.get(name)
    spark.conf.set(name, adaptive)
    try:
        nothing = spark.range(9).where("id > 9")
        for rows in (
            nothing,
            nothing.groupBy("id").count(),
            nothing.orderBy("id"),
            spark.createDataFrame([], "id int"),
        ):
            dataset.save(rows)
            assert dataset.load().count() == 0
            assert "id" in dataset.load().columns
    finally:
        spark.conf.set(name, before)
