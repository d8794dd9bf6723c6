"""The graph as ``kedro viz`` shows it after a run: layers, names, previews; and that showing it starts no Spark."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import Page, chromium, find_chromium
from projects import Project

LAYERS = ["raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting"]
TASKS = {
    *("clean_interactions", "split_interactions", "fit_ncf_features", "make_ncf_rows", "draw_ncf_test_candidates"),
    *("evaluate_ncf_baselines", "train_ncf", "predict_ncf_test", "rank_ncf_items", "report_ncf"),
}
FIGURES = {"ncf_loss_curves", "ncf_comparison", "ncf_calibration"}
DOCUMENTS = {
    *("ncf_metrics", "ncf_history", "ncf_ranks", "ncf_baselines", "ncf_feature_spec"),
    *("interactions_schema", "interactions_data_quality"),
}
TABLES = {"interactions", "users", "items", "ncf_recommendations"}
# Made from what a later layer holds: in its folder's layer it would close a circle, and no layer would be drawn.
WITHOUT_LAYER = {"recsys2021_user_features", "recsys2021_item_features", "two_tower_index"}
BUILD = """
import sys
from kedro.framework.cli.cli import main
try:
    sys.argv = ["kedro", "viz", "build", "--include-previews"]
    main()
finally:
    print("imported:", sorted({"pyspark", "torch", "tensorflow", "keras", "horovod"} & set(sys.modules)))
"""
# What `kedro viz run` starts, without its question to the package index for a newer version.
SERVE = "import sys; from kedro_viz.server import run_server; run_server(host='127.0.0.1', port=int(sys.argv[1]))"


@pytest.fixture(scope="module")
def shown(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project in which kedro-viz may leave its own files."""
    return finished.copy(tmp_path_factory.mktemp("shown") / "project")


@pytest.fixture(scope="module")
def built(shown: Project) -> Path:
    """The API's answers as files, as ``kedro viz build`` writes them."""
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=shown.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "imported: []" in done.stdout
    assert done.stderr == ""
    return shown.path("build/api")


def nodes(built: Path, kind: str) -> dict[str, dict[str, Any]]:
    found = json.loads((built / "main").read_text())["nodes"]
    return {node["name"]: node for node in found if node["type"] == kind}


def preview(built: Path, name: str) -> tuple[str, Any]:
    details = json.loads((built / "nodes" / nodes(built, "data")[name]["id"]).read_text())
    return details["preview_type"], details["preview"]


@pytest.mark.slow
def test_every_dataset_is_in_a_layer_and_layers_are_in_the_order_of_the_folders(built: Path) -> None:
    assert json.loads((built / "main").read_text())["layers"] == LAYERS
    without = {name for name, node in nodes(built, "data").items() if node["layer"] not in LAYERS}
    assert without == WITHOUT_LAYER


@pytest.mark.slow
def test_nodes_are_called_what_they_are_called_in_the_code(built: Path) -> None:
    assert set(nodes(built, "task")) >= TASKS


@pytest.mark.slow
def test_figures_documents_and_tables_have_previews(built: Path) -> None:
    for name in FIGURES:
        kind, content = preview(built, name)
        assert (kind, bool(content["data"])) == ("PlotlyPreview", True), name
    for name in DOCUMENTS:
        kind, content = preview(built, name)
        assert (kind, bool(json.loads(content))) == ("JSONPreview", True), name
    for name in TABLES:
        kind, content = preview(built, name)
        assert (kind, len(content["data"])) == ("TablePreview", 10), name


@pytest.fixture
def address(shown: Project) -> Iterator[str]:
    """Where the graph is served, on this machine alone."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE, str(port)],
        cwd=shown.folder,
        env=os.environ | {"DO_NOT_TRACK": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while server.poll() is None and time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/main", timeout=60).close()
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A page of a real browser."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium or Chrome on PATH")
    with chromium(program, tmp_path) as opened:
        yield opened


@pytest.mark.slow
def test_a_browser_draws_the_graph_and_a_figure(page: Page, address: str, built: Path) -> None:
    figure = nodes(built, "data")["ncf_loss_curves"]["id"]
    page.open(f"{address}?pid=__default__&sid={figure}")
    drawn = page.wait_for("[...document.querySelectorAll('.pipeline-node__text')].map(node => node.textContent)")
    assert set(drawn) >= TASKS | FIGURES | DOCUMENTS | TABLES
    page.wait_for("document.querySelectorAll('.pipeline-metadata .js-plotly-plot .scatterlayer .trace').length")
    assert page.evaluate("document.querySelectorAll('.pipeline-layer-name').length") == len(LAYERS)
    page.evaluate("[...document.querySelectorAll('button')].find(b => /Expand preview/.test(b.textContent)).click()")
    page.wait_for("document.querySelectorAll('.pipeline-plotly__modal .js-plotly-plot .scatterlayer .trace').length")
