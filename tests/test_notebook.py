"""The notebook: kept without outputs, and every cell of it runs, in order, in a project of its own."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

from projects import ROOT, Project

NOTEBOOK = ROOT / "notebooks" / "ncf_movielens.ipynb"
# Each cell's last expression is kept, as a notebook shows it.
RUN = """
import ast, json, sys
names = {}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        body = ast.parse("".join(cell["source"])).body
        shown = ast.Expression(body.pop().value) if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), cell["id"], "exec"), names)
        names[f"shown {cell['id']}"] = shown and eval(compile(shown, cell["id"], "eval"), names)
recommended = names["shown lists"]
print(json.dumps({
    "published": recommended.sort_values("rank")["item_id"].tolist(),
    "by hand": names["shown library"].index.tolist(),
    "titles": names["shown library"]["title"].notna().all().item(),
    "sources": sorted(set(recommended["source"])),
    "liked": names["liked"]["item_id"].tolist(),
    "methods": list(names["shown report"].columns),
    "figure": type(names["shown comparison"]).__name__,
}))
"""


def cells(kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in cells("code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_cells_are_short_and_explained() -> None:
    assert len(cells("markdown")) >= len(cells("code")) // 2
    for cell in cells("code"):
        assert len(cell["source"]) <= 30
        ast.parse("".join(cell["source"]))


@pytest.mark.slow
def test_every_cell_runs_and_the_model_by_hand_gives_the_published_list(project: Project) -> None:
    folder = project.path("notebooks")
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    done = subprocess.run(
        [sys.executable, "-c", RUN, NOTEBOOK.name],
        cwd=folder,
        env=os.environ | {"KEDRO_ENV": "test", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("WARN|Warning|logging configuration", done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["published"] == found["by hand"]
    assert found["titles"], "a list of numbers tells nobody anything"
    assert found["sources"] == ["model"]
    assert not set(found["published"]) & set(found["liked"])
    assert {"NCF", "popularity", "ease"} <= set(found["methods"])
    assert found["figure"] == "Figure"
    assert [path.name for path in folder.iterdir()] == [NOTEBOOK.name]
