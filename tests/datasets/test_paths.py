from pathlib import Path

import pytest
from kedro.io import DataCatalog

from tandem.datasets import PathDataset, StagedFolderDataset
from tandem.errors import UserError


def _folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "weights").write_text(content)
    return path


def test_a_path_is_handed_out_with_its_parent_made(tmp_path: Path) -> None:
    path = tmp_path / "models" / "checkpoints"
    catalog = DataCatalog.from_config({"checkpoints": {"type": "tandem.datasets.PathDataset", "filepath": str(path)}})
    assert catalog.load("checkpoints") == path
    assert path.parent.is_dir()
    assert not path.exists()
    with pytest.raises(UserError, match=r"checkpoints is a path to work in"):
        catalog["checkpoints"].save(path)


def test_a_path_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file/checkpoints"):
        PathDataset(str(tmp_path / "file" / "checkpoints")).load()


def test_a_staged_folder_is_moved_into_place(tmp_path: Path) -> None:
    target = tmp_path / "models" / "ncf"
    entry = {"type": "tandem.datasets.StagedFolderDataset", "filepath": str(target)}
    catalog = DataCatalog.from_config({"model": entry})
    for content in ("first", "second"):
        staging = _folder(tmp_path / "staging", content)
        catalog.save("model", staging)
        assert catalog.load("model") == target
        assert (target / "weights").read_text() == content
        assert not staging.exists()
    assert [folder.name for folder in target.parent.iterdir()] == ["ncf"]


def test_a_missing_model_says_how_to_make_it(tmp_path: Path) -> None:
    dataset = StagedFolderDataset(str(tmp_path / "ncf"), made_by="kedro run --pipelines ncf_training")
    assert not dataset.exists()
    with pytest.raises(UserError, match=r"ncf does not exist; make it first: kedro run --pipelines ncf_training"):
        dataset.load()


def test_a_place_that_cannot_be_written_keeps_the_staging_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    staging = _folder(tmp_path / "staging", "trained")
    with pytest.raises(UserError, match=r"cannot write .*file/ncf"):
        StagedFolderDataset(str(tmp_path / "file" / "ncf")).save(staging)
    assert (staging / "weights").read_text() == "trained"


def test_a_folder_without_what_belongs_in_it_replaces_nothing(tmp_path: Path) -> None:
    target = tmp_path / "ncf"
    dataset = StagedFolderDataset(str(target), files=["weights", "config.json"])
    first = _folder(tmp_path / "first", "first")
    (first / "config.json").write_text("{}")
    dataset.save(first)
    half = _folder(tmp_path / "half", "second")
    with pytest.raises(UserError, match=r"ncf stays as it was: .*half, lacks config\.json"):
        dataset.save(half)
    assert (target / "weights").read_text() == "first"
    assert (half / "weights").read_text() == "second"
