import json
from pathlib import Path

import pytest
from kedro.io import DataCatalog, DatasetError

from tandem.datasets import AtomicJSONDataset
from tandem.errors import UserError


def test_json_goes_round_through_a_catalog(tmp_path: Path) -> None:
    path = tmp_path / "reports" / "metrics.json"
    entry = {"type": "tandem.datasets.AtomicJSONDataset", "filepath": str(path)}
    catalog = DataCatalog.from_config({"metrics": entry})
    data = {"model": {"ndcg@10": 0.1 + 0.2}, "a": [None, "é"]}
    catalog.save("metrics", data)
    assert catalog.load("metrics") == data
    assert path.read_text(encoding="utf-8").startswith('{\n  "model": {\n    "ndcg@10": 0.30000000000000004')
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert json.loads(catalog["metrics"].preview()) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_hold_is_refused_and_the_old_file_stays(tmp_path: Path, value: object) -> None:
    dataset = AtomicJSONDataset(str(tmp_path / "metrics.json"))
    dataset.save({"auc": 0.5})
    with pytest.raises(DatasetError, match=r"not JSON"):
        dataset.save({"auc": value})
    assert dataset.load() == {"auc": 0.5}
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.json"]


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    dataset = AtomicJSONDataset(str(tmp_path / "spec.json"), made_by="kedro run --tags ncf")
    with pytest.raises(UserError, match=r"spec.json does not exist; make it first: kedro run --tags ncf"):
        dataset.load()
    (tmp_path / "spec.json").write_text('{"half": ')
    with pytest.raises(UserError, match=r"spec.json is not JSON \(row 1, column 10"):
        dataset.load()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot write .*file/metrics.json"):
        AtomicJSONDataset(str(tmp_path / "file" / "metrics.json")).save({})
