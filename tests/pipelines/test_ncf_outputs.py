"""What a whole run of NCF publishes, on generated data; N1 to N9 are defects of the workflow that it replaces."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from projects import PUBLISHED, Project
from tandem import __version__
from tandem.models.ncf.network import load_ncf

SCHEMAS = {
    "data/05_model_input/ncf/train.parquet": {"user_id", "item_id", "user", "item", "label", "genres", "validation"},
    "data/05_model_input/ncf/test.parquet": {"user_id", "item_id", "user", "item", "label", "genres"},
    "data/07_model_output/ncf/test_predictions.parquet": {"user_id", "item_id", "label", "prediction", "source"},
    "data/07_model_output/ncf/recommendations.parquet": {"user_id", "item_id", "rank", "score", "source", "title"},
}
DOCUMENTS = ("metrics.json", "history.json", "ranks.json", "loss_curves.json", "comparison.json", "calibration.json")
METRICS = {
    *("accuracy", "precision", "recall", "auc", "average_precision", "log_loss", "rce", "calibration_error"),
    *("hit_rate@10", "ndcg@10", "map@10", "precision@10", "recall@10", "coverage@10"),
}


def report(project: Project) -> dict[str, dict[str, dict[str, float]]]:
    return json.loads(project.path("data/08_reporting/ncf/metrics.json").read_text())


def raw(project: Project) -> str:
    """The parameter that names the files that were generated for a project: another seed would generate others."""
    (generated,) = project.path("data/01_raw/movielens").iterdir()
    return f"movielens_path={generated}"


def pairs(project: Project, name: str) -> set[tuple[int, int]]:
    rows = pq.read_table(project.path(f"data/05_model_input/ncf/{name}.parquet"))
    return set(zip(rows.column("user_id").to_pylist(), rows.column("item_id").to_pylist(), strict=True))


def test_every_file_that_stays_is_there(finished: Project) -> None:
    for path, columns in SCHEMAS.items():
        assert columns <= set(pq.read_table(finished.path(path)).column_names), path
    for name in DOCUMENTS:
        assert json.loads(finished.path(f"data/08_reporting/ncf/{name}").read_text()), name
    assert list(finished.path("data/08_reporting/ncf/tensorboard").iterdir())
    assert set(report(finished)["model"]) == METRICS
    assert {"constant", "popularity", "ease"} <= set(report(finished)["baselines"])


def test_n3_predictions_are_probabilities_and_the_threshold_is_one(finished: Project) -> None:
    rows = pq.read_table(finished.path("data/07_model_output/ncf/test_predictions.parquet"))
    predictions, labels = rows.column("prediction").to_numpy(), rows.column("label").to_numpy()
    assert 0.0 <= predictions.min() <= predictions.max() <= 1.0
    assert report(finished)["model"]["accuracy"] == pytest.approx(((predictions >= 0.5) == labels).mean())


def test_n4_no_pair_is_in_training_and_test(finished: Project) -> None:
    train, test = pairs(finished, "train"), pairs(finished, "test")
    assert train
    assert test
    assert not train & test


def test_n8_the_model_folder_is_all_that_scoring_needs(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.path("data/06_models/ncf"), tmp_path / "model")
    model = load_ncf(tmp_path / "model")
    spec = json.loads(finished.path("data/05_model_input/ncf/feature_spec.json").read_text())
    assert model.config.feature_spec_fingerprint == spec["fingerprint"]
    assert model.config.users.num_ids == spec["num_users"] + 1


def test_n9_lists_hold_the_best_unseen_items_of_every_user(finished: Project) -> None:
    lists = pq.read_table(finished.path("data/07_model_output/ncf/recommendations.parquet")).to_pandas()
    interactions = pq.read_table(finished.path("data/03_primary/ncf/interactions.parquet")).to_pandas()
    users = (
        pq.read_table(finished.path("data/02_intermediate/interactions/users.parquet")).column("user_id").to_pylist()
    )
    assert set(lists["user_id"]) == set(users)
    titles = pq.read_table(finished.path("data/02_intermediate/interactions/items.parquet")).to_pandas()
    assert (lists["title"] == lists["item_id"].map(titles.set_index("item_id")["title"])).all()
    had = set(zip(interactions["user_id"], interactions["item_id"], strict=True))
    assert not set(zip(lists["user_id"], lists["item_id"], strict=True)) & had
    for _, rows in lists.groupby("user_id"):
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
        assert (np.diff(rows["score"]) <= 1e-12).all()


def test_the_same_command_gives_the_same_rows_and_metrics(finished: Project, project: Project) -> None:
    assert project.run("--params", "distributed.num_ranks=2").code == 0
    rows = "data/05_model_input/ncf"
    assert project.content(rows) == finished.content(rows)
    assert report(project) == report(finished)


def test_the_report_says_of_what_it_is(finished: Project) -> None:
    data = report(finished)["data"]
    assert (data["dataset"], data["source"], data["generated"]) == ("synthetic", "data/01_raw/movielens", True)
    assert (data["split"], data["seed"], data["published_model"]) == ("random", 42, "evaluated")
    assert data["settings"]["model"]["gmf_dim"] == 8
    assert data["tandem_version"] == __version__
    epochs = json.loads(finished.path("data/08_reporting/ncf/history.json").read_text())
    assert sum(data["epochs_trained"].values()) == len(epochs)
    assert data["epochs_trained"]["refit"] == data["chosen_epoch"] <= data["epochs_trained"]["search"]


def test_a_model_of_all_rows_makes_the_lists_and_the_report_stays_the_same(finished: Project, tmp_path: Path) -> None:
    again = finished.copy(tmp_path / "again")
    done = again.run("--pipelines", "ncf_training,inference", "--params", "ncf.publish=all,distributed.num_ranks=2")
    assert done.code == 0, done.err
    before, after = report(finished), report(again)
    assert (after["model"], after["baselines"]) == (before["model"], before["baselines"])
    changed = {name for name, value in after["data"].items() if value != before["data"][name]}
    assert changed == {"settings", "epochs_trained", "published_model"}
    assert after["data"]["published_model"] == "all rows"
    assert after["data"]["epochs_trained"]["publish"] == after["data"]["chosen_epoch"]
    assert "These figures are of the NCF that has not seen the test rows" in done.err
    tables = "data/07_model_output/ncf"
    for name, same in (("test_predictions", True), ("test_lists", True), ("recommendations", False)):
        old, new = (pq.read_table(one.path(f"{tables}/{name}.parquet")) for one in (finished, again))
        names = [column for column in old.column_names if column != "score"]
        assert new.select(names).equals(old.select(names)) == same, name
    had = pq.read_table(again.path("data/03_primary/ncf/interactions.parquet")).select(["user_id", "item_id"])
    lists = pq.read_table(again.path(f"{tables}/recommendations.parquet"))
    assert lists.join(had, ["user_id", "item_id"], join_type="inner").num_rows == 0
    model = "data/06_models/ncf/evaluated/model.safetensors"
    assert again.path(model).read_bytes() == finished.path("data/06_models/ncf/model.safetensors").read_bytes()


def test_inference_alone_scores_what_was_trained_before(finished: Project, tmp_path: Path) -> None:
    again = finished.copy(tmp_path / "again")
    shutil.rmtree(again.path("data/07_model_output"))
    done = again.run("--pipelines", "inference")
    assert done.code == 0, done.err
    assert report(again)["model"] == report(finished)["model"]
    lists, figures = done.err.splitlines()[-2:]
    assert lists.endswith("lists: data/07_model_output/ncf/recommendations.parquet (60 users)")
    charts = "comparison.json, loss_curves.json, calibration.json"
    assert figures.endswith(f"report: data/08_reporting/ncf/metrics.json, {charts}")


def test_a_model_trained_on_another_split_is_refused(finished: Project, tmp_path: Path) -> None:
    """Users and items are often the same in both; then the model would be tested on rows that it was trained on."""
    again = finished.copy(tmp_path / "again")
    assert again.run("--pipelines", "data_processing", "--params", "seed=7,movielens=ml-100k," + raw(again)).code == 0
    before = again.content(*PUBLISHED)
    for node in ("predict_ncf_test", "rank_ncf_items"):
        line = again.run("--nodes", node).error
        assert line.startswith(f"the model in {again.path('data/06_models/ncf')} was trained on other data (feature")
        assert line.endswith("train it again: kedro run --tags ncf")
    assert again.content(*PUBLISHED) == before


@pytest.mark.slow
@pytest.mark.parametrize("split", ["leave_one_out", "temporal"])
def test_other_splits_run_too_and_answer_for_the_unknown(project: Project, split: str) -> None:
    done = project.run("--params", f"ncf.split={split},distributed.num_ranks=1")
    assert done.code == 0, done.err
    model = report(project)["model"]
    assert ("ndcg@10_sampled" in model) == (split == "leave_one_out")
    rows = pq.read_table(project.path("data/07_model_output/ncf/test_predictions.parquet"))
    unknown = rows.filter(pc.or_(pc.equal(rows.column("user"), 0), pc.equal(rows.column("item"), 0)))
    assert set(unknown.column("source").to_pylist()) <= {"popularity"}
    if split == "temporal":
        assert unknown.num_rows > 0
        lists = pq.read_table(project.path("data/07_model_output/ncf/recommendations.parquet"))
        known = set(
            pq.read_table(project.path("data/04_feature/ncf/user_features.parquet")).column("user_id").to_pylist()
        )
        by_popularity = lists.filter(pc.equal(lists.column("source"), "popularity")).column("user_id").to_pylist()
        assert by_popularity
        assert not set(by_popularity) & known


@pytest.mark.slow
def test_real_movielens_beats_the_constant_and_popularity(project: Project, movielens_dir: Path) -> None:
    files = f"movielens=ml-100k,movielens_path={movielens_dir / 'ml-100k'}"
    done = project.run("--params", files, env="reference")
    assert done.code == 0, done.err
    found = report(project)
    assert found["model"]["auc"] > found["baselines"]["popularity"]["auc"] > found["baselines"]["constant"]["auc"]
    labels = pq.read_table(project.path("data/05_model_input/ncf/test.parquet")).column("label")
    assert found["data"]["test_positives"] == pc.sum(labels).as_py()
