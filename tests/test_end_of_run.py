"""What the last lines say, by the catalog's own entries."""

from pathlib import Path

import pyarrow as pa
import pytest
from kedro.io import DataCatalog, MemoryDataset

from s3 import S3Server
from tandem.datasets import AtomicJSONDataset, ParquetFolderDataset
from tandem.end_of_run import EndOfRunHook

TABLE = pa.table({"user_id": [1, 1, 2], "item_id": [5, 6, 5], "rank": pa.array([1, 2, 1], pa.int32())})


def lines(catalog: DataCatalog, saved: list[str], caplog: pytest.LogCaptureFixture) -> list[str]:
    hook = EndOfRunHook()
    hook.after_dataset_saved("of_an_earlier_metrics")
    hook.before_pipeline_run()
    for name in saved:
        hook.after_dataset_saved(name)
    caplog.clear()
    with caplog.at_level("INFO", logger="tandem"):
        hook.after_pipeline_run(catalog)
    return caplog.messages


def catalog_in(folder: Path | str) -> DataCatalog:
    reports = Path("reports").absolute()
    return DataCatalog(
        {
            "ncf_recommendations": ParquetFolderDataset(f"{folder}/recommendations.parquet"),
            "ncf_metrics": AtomicJSONDataset(str(reports / "metrics.json")),
            "ncf_comparison": AtomicJSONDataset(str(reports / "comparison.json")),
            "ncf_calibration": AtomicJSONDataset(str(reports / "calibration.json")),
            "my_metrics": MemoryDataset(),
        }
    )


def test_lists_and_report_of_this_run_are_named_as_one_would_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = catalog_in(tmp_path / "tables")
    catalog["ncf_recommendations"].save(TABLE)
    assert lines(catalog, ["ncf_model", "ncf_recommendations", "ncf_comparison", "ncf_metrics"], caplog) == [
        "lists: tables/recommendations.parquet (2 users)",
        "report: reports/metrics.json, comparison.json",
    ]
    assert lines(catalog, ["ncf_metrics", "my_metrics"], caplog) == ["report: reports/metrics.json"]
    assert lines(catalog, ["ncf_model", "ncf_comparison"], caplog) == []


def test_remote_lists_are_counted_and_named_by_their_address(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    bucket = s3.bucket()
    catalog = catalog_in(str(bucket))
    catalog["ncf_recommendations"].save(TABLE)
    expected = [f"lists: s3://{bucket.host}/recommendations.parquet (2 users)"]
    assert lines(catalog, ["ncf_recommendations"], caplog) == expected
