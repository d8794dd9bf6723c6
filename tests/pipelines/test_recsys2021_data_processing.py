"""RecSys 2021 rows from raw to model input, as a user runs it: what is written, and that it is always the same."""

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from projects import Project
from tandem.features.recsys2021_spec import VOCABULARIES
from tandem.features.spec import FeatureSpec

INPUT = "data/05_model_input"
WRITTEN = (INPUT, "data/04_feature/recsys2021")


def prepare(project: Project, *arguments: str):
    return project.run("--pipelines", "data_processing", *arguments, tags="recsys2021")


@pytest.fixture(scope="module")
def prepared(spark, tmp_path_factory) -> Project:
    """A project whose RecSys 2021 rows are prepared once; to look at, not to change."""
    made = Project.create(tmp_path_factory.mktemp("recsys2021") / "project")
    done = prepare(made)
    assert done.code == 0, done.err
    return made


def read(project: Project, name: str):
    return pq.read_table(project.path(name))


def test_model_input_has_the_spec_s_columns_and_no_missing_values(prepared):
    spec = FeatureSpec.from_json(json.loads(prepared.path(f"{INPUT}/recsys2021/feature_spec.json").read_text()))
    for model in ("wnd", "two_tower"):
        for part in ("train", "test"):
            rows = read(prepared, f"{INPUT}/{model}/{part}.parquet")
            assert rows.num_rows > 0
            assert not any(column.null_count for column in rows.columns)
            sizes = spec.sizes_of(model)
            crosses = {feature.name for feature in spec.features if feature.kind == "cross"}
            expected = set(sizes) - (crosses if model == "two_tower" else set())
            assert {name for name in rows.column_names if name in sizes} == expected
            for name in expected:
                assert str(rows.schema.field(name).type) == "int32", name
                assert 0 <= pc.min(rows[name]).as_py() <= pc.max(rows[name]).as_py() < sizes[name], name
            scaled = [feature.name for feature in spec.features if feature.kind == "scaled"]
            for name in scaled:
                assert str(rows.schema.field(name).type) == "float"
                assert 0.0 <= pc.min(rows[name]).as_py() <= pc.max(rows[name]).as_py() <= 1.0


def test_both_models_have_the_same_rows_in_the_same_order(prepared):
    for part in ("train", "test"):
        one, other = (read(prepared, f"{INPUT}/{model}/{part}.parquet") for model in ("wnd", "two_tower"))
        keys = ["user_id", "tweet_id", "tweet_timestamp", "label"]
        assert one.select(keys).equals(other.select(keys))


def test_every_id_of_training_rows_stands_for_a_value_and_every_value_for_a_training_row(prepared):
    train = read(prepared, f"{INPUT}/wnd/train.parquet")
    for name in VOCABULARIES:
        vocabulary = read(prepared, f"data/04_feature/recsys2021/vocabularies/{name}.parquet").sort_by("id")
        ids = vocabulary["id"].to_pylist()
        assert ids == list(range(1, len(ids) + 1))
        assert sorted(set(train[name].to_pylist()) - {0}) == ids
        order = list(zip(vocabulary["count"].to_pylist(), vocabulary["value"].to_pylist(), strict=True))
        assert order == sorted(order, key=lambda entry: (-entry[0], entry[1]))


def test_feature_tables_have_one_row_per_user_and_tweet_of_all_rows(prepared):
    rows = [read(prepared, f"{INPUT}/wnd/{part}.parquet") for part in ("train", "test")]
    for key, table in (("user_id", "user_features"), ("tweet_id", "item_features")):
        found = read(prepared, f"data/04_feature/recsys2021/{table}.parquet")[key].to_pylist()
        assert len(found) == len(set(found))
        assert set(found) == {value for part in rows for value in part[key].to_pylist()}


def test_the_account_of_the_data_is_written(prepared):
    quality = json.loads(prepared.path("data/08_reporting/recsys2021/data_quality.json").read_text())
    for part in ("train", "test"):
        rows = read(prepared, f"{INPUT}/wnd/{part}.parquet")
        assert quality[part]["rows"] == rows.num_rows
        assert quality[part]["rows_in_files"] == rows.num_rows
        assert quality[part]["files"] == len(list(prepared.path("data/01_raw/recsys2021").glob(f"*/{part}/*.parquet")))
        assert quality[part]["label_rate"] == pytest.approx(pc.mean(rows["label"]).as_py())
    assert set(quality["test"]["unknown"]) == set(VOCABULARIES)
    assert 0.5 < quality["best_auc"] < 1.0


def test_another_partitioning_writes_the_same_bytes(spark, prepared, tmp_path):
    again = Project.create(tmp_path / "again")
    before = {name: spark.conf.get(name) for name in ("spark.sql.shuffle.partitions", "spark.sql.adaptive.enabled")}
    try:
        spark.conf.set("spark.sql.shuffle.partitions", "7")
        spark.conf.set("spark.sql.adaptive.enabled", "false")
        spark.conf.set("spark.sql.files.maxPartitionBytes", "20000")
        done = prepare(again)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        for name, value in before.items():
            spark.conf.set(name, value)
    assert done.code == 0, done.err
    fixed = (INPUT, "data/04_feature/recsys2021/vocabularies")
    assert again.content(*fixed) == prepared.content(*fixed)


def test_a_limit_that_empties_a_vocabulary_is_said_and_leaves_the_unknown_id(prepared, tmp_path):
    project = prepared.copy(tmp_path / "project")
    limits = "recsys2021_features.min_count.hashtags=1000000,recsys2021_features.label=like"
    done = prepare(project, "--params", limits)
    assert done.code == 0, done.err
    assert "min_count.hashtags: no value is that frequent" in done.err + done.out
    rows = read(project, f"{INPUT}/wnd/train.parquet")
    assert set(rows["hashtags"].to_pylist()) == {0}
    assert pc.sum(rows["label"]).as_py() < pc.sum(read(prepared, f"{INPUT}/wnd/train.parquet")["label"]).as_py()
    quality = json.loads(project.path("data/08_reporting/recsys2021/data_quality.json").read_text())
    assert quality["best_auc"] is None, "what is known is the best AUC for any engagement, not for likes"


def test_a_cross_of_an_unknown_column_is_one_line_and_changes_nothing(prepared, tmp_path):
    project = prepared.copy(tmp_path / "project")
    base = project.path("conf/test/parameters_recsys2021_features.yml")
    base.write_text(
        "recsys2021_features:\n  crosses:\n    - {columns: [present_media, langage], buckets: 40}\n", encoding="utf-8"
    )
    done = prepare(project)
    assert done.error == ("recsys2021_features.crosses: there is no encoded column langage; did you mean language?")
    assert project.content(*WRITTEN) == prepared.content(*WRITTEN)
