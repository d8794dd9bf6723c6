"""What whole runs of Wide & Deep and of DeepFM publish, on generated rows."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from projects import ROOT, Project
from tandem.batches.shards import read_columns
from tandem.pipelines.inference.click_scoring import POOLS, _workers_of_their_own, with_predictions
from tandem.scoring.click_keras import KerasClickScorer

MODEL = "data/06_models/wnd"
REPORTS = "data/08_reporting/wnd"
PREDICTIONS = "data/07_model_output/wnd/test_predictions.parquet"
DOCUMENTS = ("metrics.json", "history.json", "ranks.json", "loss_curves.json", "comparison.json", "calibration.json")
METRICS = {"accuracy", "precision", "recall", "auc", "average_precision", "log_loss", "rce", "calibration_error"}


def report(project: Project) -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(project.path(f"{REPORTS}/metrics.json").read_text())


@pytest.mark.slow
def test_every_file_that_stays_is_there(finished_recsys2021: Project) -> None:
    for name in DOCUMENTS:
        assert json.loads(finished_recsys2021.path(f"{REPORTS}/{name}").read_text()), name
    assert list(finished_recsys2021.path(f"{REPORTS}/tensorboard").iterdir())
    assert set(report(finished_recsys2021)["model"]) == METRICS
    assert list(report(finished_recsys2021)["baselines"]) == ["constant", "logistic_regression", "boosted_trees"]
    assert 0.5 < report(finished_recsys2021)["data"]["best_auc"] < 1.0
    ranks = json.loads(finished_recsys2021.path(f"{REPORTS}/ranks.json").read_text())
    assert [row["rank"] for row in ranks] == [0, 1]


@pytest.mark.slow
def test_metrics_are_those_of_the_published_predictions(finished_recsys2021: Project) -> None:
    rows = read_columns(finished_recsys2021.path(PREDICTIONS), ("label", "prediction"))
    assert 0.0 <= rows["prediction"].min() < rows["prediction"].max() <= 1.0
    accuracy = ((rows["prediction"] >= 0.5) == rows["label"]).mean()
    assert report(finished_recsys2021)["model"]["accuracy"] == pytest.approx(accuracy)
    test = pq.read_table(finished_recsys2021.path("data/05_model_input/wnd/test.parquet"))
    assert report(finished_recsys2021)["data"]["test_rows"] == test.num_rows == len(rows["label"])


@pytest.mark.slow
def test_spark_scores_as_the_model_does(finished_recsys2021: Project, spark: SparkSession) -> None:
    scorer = KerasClickScorer(finished_recsys2021.path(MODEL))
    table = pq.read_table(finished_recsys2021.path(PREDICTIONS))
    columns = {name: table.column(name).to_numpy() for name in (*scorer.id_columns, *scorer.numbers)}
    np.testing.assert_allclose(scorer.probabilities(columns), table.column("prediction").to_numpy(), atol=1e-6)


@pytest.mark.slow
def test_the_model_folder_is_all_that_scoring_needs(
    finished_recsys2021: Project, spark: SparkSession, tmp_path: Path
) -> None:
    shutil.copytree(finished_recsys2021.path(MODEL), tmp_path / "model")
    rows = spark.read.parquet(str(finished_recsys2021.path("data/05_model_input/wnd/test.parquet"))).limit(5)
    scored = with_predictions(rows, tmp_path / "model").collect()
    assert len(scored) == 5
    assert all(0.0 < row["prediction"] < 1.0 for row in scored)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    spec = json.loads(finished_recsys2021.path("data/05_model_input/recsys2021/feature_spec.json").read_text())
    assert config["feature_spec_fingerprint"] == spec["fingerprint"]


@pytest.mark.slow
@pytest.mark.parametrize("node", ["predict_wnd_test", "rank_recsys2021_candidates"])
def test_a_model_of_another_feature_spec_is_refused(finished_recsys2021: Project, tmp_path: Path, node: str) -> None:
    again = finished_recsys2021.copy(tmp_path / "again")
    config = again.path(MODEL) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"feature_spec_fingerprint": "another"}))
    before = again.content("data/07_model_output")
    done = again.run("--nodes", node, tags="recsys2021")
    assert done.error.startswith(f"the model in {again.path(MODEL)} was trained on other data (feature spec another)")
    assert again.content("data/07_model_output") == before


@pytest.mark.slow
def test_a_column_that_the_rows_have_not_is_one_line_and_leaves_the_old_model(
    finished_recsys2021: Project, tmp_path: Path
) -> None:
    again = finished_recsys2021.copy(tmp_path / "again")
    (again.path("conf") / "local" / "parameters.yml").write_text("wnd: {model: {embeddings: [user, autor]}}\n")
    before = again.content(MODEL, REPORTS)
    done = again.run("--pipelines", "wnd_training", tags="wnd", env="local")
    assert done.error.startswith("wnd.model: the rows have no id column autor; did you mean author?")
    assert again.content(MODEL, REPORTS) == before


@pytest.mark.slow
def test_a_pytorch_model_of_ones_own_goes_the_whole_way(
    finished_recsys2021: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained on two ranks, applied by Spark, reported on, and ranking the candidates of the two towers."""
    again = finished_recsys2021.copy(tmp_path / "again")
    monkeypatch.setenv("PYTHONPATH", str(again.path("src")))  # as kedro does for the project that it runs in
    shutil.copy(ROOT / "tests/support/torch_models.py", again.path("src/own_models.py"))
    ranked = again.path("data/07_model_output/recsys2021/recommendations.parquet")
    before = again.content(str(ranked.relative_to(again.folder)))
    options = ["wnd.framework=torch", "wnd.builder=own_models.build_small", "distributed.num_ranks=2"]
    nodes = "train_wnd,predict_wnd_test,report_wnd,rank_recsys2021_candidates"
    done = again.run("--nodes", nodes, "--params", ",".join(options), tags="recsys2021")
    assert done.code == 0, done.err
    assert {path.name for path in again.path(MODEL).iterdir()} == {"model.safetensors", "config.json"}
    rows = read_columns(again.path(PREDICTIONS), ("label", "prediction"))
    assert 0.0 <= rows["prediction"].min() < rows["prediction"].max() <= 1.0
    assert len(json.loads(again.path(f"{REPORTS}/ranks.json").read_text())) == 2
    assert report(again)["model"]["auc"] > 0.5
    assert "own_models.build_small on " in done.out + done.err
    assert "Wide & Deep" not in done.out + done.err
    chart = json.loads(again.path(f"{REPORTS}/comparison.json").read_text())
    assert chart["layout"]["title"]["text"].startswith("own_models.build_small against baselines")
    assert again.content(str(ranked.relative_to(again.folder))) != before


@pytest.mark.slow
def test_deepfm_goes_the_whole_way_and_stands_beside_wide_and_deep(
    finished_recsys2021: Project, tmp_path: Path
) -> None:
    """On the same rows, with files of the same names; nothing of Wide & Deep's is touched."""
    again = finished_recsys2021.copy(tmp_path / "again")
    before = again.content("data")
    nodes = "train_deepfm,evaluate_deepfm_baselines,predict_deepfm_test,report_deepfm"
    parameters = "distributed.num_ranks=2,deepfm.epochs=2,deepfm.baselines.trees=10"
    done = again.run("--nodes", nodes, "--params", parameters, tags="deepfm")
    assert done.code == 0, done.err
    assert before.items() <= again.content("data").items()
    wnd, deepfm = report(again), json.loads(again.path("data/08_reporting/deepfm/metrics.json").read_text())
    assert deepfm.keys() == wnd.keys()
    assert set(deepfm["model"]) == METRICS
    for name in ("dataset", "train_rows", "test_rows", "test_positives", "feature_spec_fingerprint"):
        assert deepfm["data"][name] == wnd["data"][name]
    reported = {path.name for path in again.path("data/08_reporting/deepfm").iterdir()}
    assert reported == {path.name for path in again.path(REPORTS).iterdir()}
    assert {path.name for path in again.path("data/06_models/deepfm").iterdir()} == {"config.json", "model.keras"}
    rows = read_columns(again.path("data/07_model_output/deepfm/test_predictions.parquet"), ("label", "prediction"))
    assert ((rows["prediction"] >= 0.5) == rows["label"]).mean() == pytest.approx(deepfm["model"]["accuracy"])
    assert [*deepfm["baselines"]] == [*wnd["baselines"]]
    assert ["metric", "DeepFM", "W&D", "constant"] in [line.split()[:4] for line in (done.out + done.err).splitlines()]
    report_again = again.run("--nodes", "report_wnd", tags="wnd")
    heads = [line.split()[:4] for line in (report_again.out + report_again.err).splitlines()]
    assert ["metric", "W&D", "DeepFM", "constant"] in heads
    assert report(again) == wnd


@pytest.mark.parametrize("framework", list(POOLS))
def test_each_framework_gets_python_processes_of_its_own(spark: SparkSession, framework: str) -> None:
    def variable(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            yield pa.RecordBatch.from_pydict({"value": [os.environ.get("TANDEM_FRAMEWORK", "none")]})

    before = dict(spark.sparkContext.environment)
    with _workers_of_their_own(spark, framework):
        rows = spark.range(1).mapInArrow(variable, "value string")
    assert spark.sparkContext.environment == before
    assert rows.collect()[0]["value"] == POOLS[framework]["TANDEM_FRAMEWORK"]
    assert spark.range(1).mapInArrow(variable, "value string").collect()[0]["value"] == "none"
