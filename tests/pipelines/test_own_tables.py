"""The same rows, of MovieLens and in tables of one's own, make the same model input."""

import shutil
from pathlib import Path

import yaml

from projects import Project

TABLES = ("interactions", "users", "items")
USER_FEATURES = {
    "gender": "category",
    "occupation": "category",
    "zip_code": {"kind": "category", "min_count": 2},
    "age": "number",
}


def describe(project: Project, **tables: object) -> None:
    """Write the page that says what stands where, as ``tandem describe`` writes one."""
    project.path("conf/test/tables.yml").write_text(
        yaml.safe_dump({"data": "tables", "tables": tables}, sort_keys=False)
    )


def test_the_same_rows_in_tables_of_ones_own_make_the_same_model_input(
    project: Project, finished: Project, tmp_path: Path
) -> None:
    for name in TABLES:
        made = finished.path(f"data/02_intermediate/interactions/{name}.parquet")
        shutil.copytree(made, tmp_path / f"{name}.parquet")
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp", "weight": "weight"}
    describe(
        project,
        path=str(tmp_path),
        interactions={"file": "interactions.parquet", **columns},
        users={"file": "users.parquet", "id": "user_id", "features": USER_FEATURES},
        items={"file": "items.parquet", "id": "item_id", "title": "title", "features": {"genres": "categories"}},
    )
    done = project.run("--pipelines", "data_processing")
    assert done.code == 0, done.err
    assert project.content("data/05_model_input/ncf") == finished.content("data/05_model_input/ncf")
