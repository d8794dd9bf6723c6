"""All reports that there are, by the name of their folder."""

import logging
from pathlib import Path

import pytest

from tandem.datasets import ReportsDataset
from tandem.errors import UserError


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "metrics.json").write_text(text)


def test_reports_are_loaded_by_name_and_no_folder_is_no_report(tmp_path: Path) -> None:
    dataset = ReportsDataset(str(tmp_path / "reporting"))
    assert (dataset.load(), dataset.exists()) == ({}, False)
    write(tmp_path / "reporting", "wnd", '{"model": {"auc": 0.5}}')
    write(tmp_path / "reporting", "deepfm", "{}")
    (tmp_path / "reporting" / "interactions").mkdir()
    assert (dataset.load(), dataset.exists()) == ({"deepfm": {}, "wnd": {"model": {"auc": 0.5}}}, True)


def test_a_damaged_one_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "wnd", "{")
    write(tmp_path, "deepfm", "{}")
    with caplog.at_level(logging.WARNING):
        assert ReportsDataset(str(tmp_path)).load() == {"deepfm": {}}
    assert f"{tmp_path}/wnd/metrics.json cannot be read and is left out" in caplog.text


def test_nothing_is_saved_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="read only; save a model's report as NAME_metrics"):
        ReportsDataset(str(tmp_path)).save({})
