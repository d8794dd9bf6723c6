"""What a user gets wrong with RecSys 2021 rows ends in one line; earlier outputs stay as they were."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from projects import Finished, Project
from recsys2021_raw_rows import SEPARATOR, line, row, table, write_halves

GOOD = line()
MILLISECONDS = 1_612_396_800_000


@pytest.fixture(scope="module")
def attempts(finished_recsys2021: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project in which runs are tried that must change nothing."""
    return finished_recsys2021.copy(tmp_path_factory.mktemp("attempts_recsys2021") / "project")


def run(project: Project, *options: str, **parameters: object) -> Finished:
    given = ",".join(f"{name}={value}" for name, value in parameters.items())
    return project.run(*options, *(("--params", given) if given else ()), tags="recsys2021")


def refused(project: Project, *options: str, **parameters: object) -> str:
    """The error's line of a run that must fail and leave everything as it was."""
    before = kept(project)
    error = run(project, *options, **parameters).error
    assert kept(project) == before
    return error


def kept(project: Project) -> dict[str, str]:
    """What must stay as it was: all but the scratch of a training job, whose logs tell of the failure."""
    return {name: digest for name, digest in project.content("data").items() if "06_models/jobs/" not in name}


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (GOOD.rsplit(SEPARATOR, 1)[0], r"expected 24 columns separated by \x01, found 23"),
        (GOOD + SEPARATOR, r"expected 24 columns separated by \x01, found 25"),
        (
            line(enaging_user_follower_count="many"),
            "column enaging_user_follower_count: expected a whole number from 0, found 'many'",
        ),
    ],
    ids=["23 columns", "25 columns", "no number"],
)
def test_a_bad_raw_row_is_named(attempts: Project, tmp_path: Path, bad: str, what: str) -> None:
    files = write_halves(tmp_path, f"{GOOD}\n{bad}\n{GOOD}\n", f"{GOOD}\n")
    error = refused(attempts, recsys2021="files", recsys2021_path=files)
    assert error == f"{files}/train/part-00000, row 2: {what}; mend or remove it"


def test_a_time_in_the_future_is_named(attempts: Project, tmp_path: Path) -> None:
    files = write_halves(tmp_path, table(row(), row(tweet_timestamp=MILLISECONDS)), table(row()))
    error = refused(attempts, recsys2021="files", recsys2021_path=files)
    assert error.startswith(f"{files}/train/part-00000.snappy.parquet, row 2: column tweet_timestamp: ")
    assert f"found {MILLISECONDS} (milliseconds?)" in error


@pytest.mark.parametrize("rows", [None, ""], ids=["no file", "an empty file"])
def test_an_empty_half_is_named(attempts: Project, tmp_path: Path, rows: str | None) -> None:
    write_halves(tmp_path, f"{GOOD}\n", "")
    if rows is None:
        (tmp_path / "test" / "part-00000").unlink()
    error = refused(attempts, recsys2021="files", recsys2021_path=tmp_path)
    assert error.startswith(f"{tmp_path}/test has no rows; expected train/ and test/ with part files")


def test_a_kind_that_there_is_not_and_a_missing_folder_are_named(attempts: Project, tmp_path: Path) -> None:
    assert refused(attempts, recsys2021="plantd").startswith("recsys2021: expected 'planted', 'noise'")
    error = refused(attempts, recsys2021="files", recsys2021_path=tmp_path / "none")
    assert error.startswith(f"no RecSys Challenge 2021 data: {tmp_path}/none does not exist; expected train/ and test/")


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"wnd.epoch": 3}, "wnd.epoch: there is no such parameter; did you mean epochs?"),
        ({"two_tower.model.user.embedings": "x"}, "two_tower.model.user.embedings: there is no such parameter; did "),
        ({"recsys2021_features.min_count.tag": 2}, "recsys2021_features.min_count.tag: there is no such parameter"),
    ],
)
def test_a_wrong_parameter_is_named(attempts: Project, parameters: dict[str, object], what: str) -> None:
    assert refused(attempts, **parameters).startswith(what)


def test_an_index_with_fewer_items_than_candidates_is_named(attempts: Project) -> None:
    nodes = ("--nodes", "find_recsys2021_candidates")
    error = refused(attempts, *nodes, **{"two_tower.recommendations.candidates": 1_000_000})
    assert re.match(r"index: 1000000 neighbours are asked of an index of [0-9]+ items; lower two_tower.", error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "node", "text", "what"),
    [
        ("wnd", "train_wnd", "raise RuntimeError('no such layer')", "raised RuntimeError: no such layer"),
        ("two_tower", "train_two_tower", "return None", "must return (user_tower, item_tower), two Keras models"),
    ],
    ids=["it raises", "it returns nothing"],
)
def test_a_builder_that_does_not_build_is_named(
    attempts: Project, monkeypatch: pytest.MonkeyPatch, model: str, node: str, text: str, what: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(attempts.path("src")))  # as kedro does for the project that it runs in
    module = attempts.path(f"src/own_{model}.py")
    module.write_text(f"def build(*arguments, **options):\n    {text}\n")
    error = refused(attempts, "--nodes", node, **{f"{model}.builder": f"own_{model}.build"})
    assert error.startswith(f"{model}.builder: ")
    assert error.endswith(what)


@pytest.mark.slow
def test_more_ranks_than_rows_are_refused_before_any_starts(attempts: Project) -> None:
    for node in ("train_wnd", "train_two_tower"):
        error = refused(attempts, "--nodes", node, **{"distributed.num_ranks": 100_000})
        assert re.match(
            r"distributed.num_ranks: 100000 ranks for [0-9]+ training (rows|positives); use at most [0-9]+", error
        )


@pytest.mark.slow
def test_equal_labels_limits_that_empty_and_batches_beyond_the_data_are_told_and_run_to_the_end(
    finished_recsys2021: Project, spark: SparkSession, tmp_path: Path
) -> None:
    """Also with fewer row groups than ranks: one file with one, for two ranks."""
    (generated,) = finished_recsys2021.path("data/01_raw/recsys2021").iterdir()
    for half in ("train", "test"):
        rows = pa.concat_tables([pq.read_table(path) for path in sorted((generated / half).glob("*.parquet"))])
        rows = rows.filter(pc.is_valid(rows["like_timestamp"]))
        (tmp_path / "equal" / half).mkdir(parents=True)
        pq.write_table(rows, tmp_path / "equal" / half / "part.parquet")
    project = Project.create(tmp_path / "project")
    done = run(
        project,
        **{
            "recsys2021": "files",
            "recsys2021_path": tmp_path / "equal",
            "recsys2021_features.min_count.hashtags": 1_000_000,
            "recsys2021_features.num_files": 1,
            "distributed.num_ranks": 2,
            "wnd.batch_size": 10_000_000,
            "two_tower.batch_size": 10_000_000,
        },
    )
    assert done.code == 0, done.err
    assert "recsys2021_features.min_count.hashtags: no value is that frequent" in done.out + done.err
    metrics = json.loads(project.path("data/08_reporting/wnd/metrics.json").read_text())
    assert metrics["model"]["auc"] is None
    assert metrics["baselines"]["constant"]["log_loss"] == pytest.approx(0.0, abs=1e-6)
    assert list(project.path("data/07_model_output/recsys2021/recommendations.parquet").iterdir())
    assert "auc is undefined on the held-out rows" in done.out + done.err
    shutil.rmtree(project.folder)
