"""What the catalog is made from: every parameter works wherever it is set, and what it cannot be is told at once."""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pyspark.sql import SparkSession

from own_logs import COLUMNS
from projects import ROOT, Project
from tandem.config_loader import ConfigLoader
from tandem.errors import UserError
from tandem.parameters import DataParameters, TablesParameters
from tandem.settings import CONFIG_LOADER_ARGS

PAGE = {"path": "shop", "interactions": {"file": "log.csv", **COLUMNS}}
# Each parameter with a value that conf/base has not, what else it needs, and the argument of an entry that it becomes.
PARAMETERS: dict[str, tuple[Any, dict[str, Any], str, str]] = {
    "seed": (7, {}, "interactions_raw", "seed"),
    "movielens": ("ml-1m", {}, "interactions_raw", "kind"),
    "movielens_path": ("log", {"movielens": "ml-1m"}, "interactions_raw", "path"),
    "synthetic_movielens": ({"users": 5, "items": 6, "ratings": 7}, {}, "interactions_raw", "synthetic"),
    "recsys2021": ("noise", {}, "recsys2021_raw", "kind"),
    "recsys2021_path": ("rows", {"recsys2021": "files"}, "recsys2021_raw", "path"),
    "recsys2021_rows": (300, {}, "recsys2021_raw", "rows"),
    "recsys2021_future": ("drop", {}, "recsys2021_raw", "future"),
    "tables_path": ("tables", {}, "users", "filepath"),
    "data": ("tables", {"tables": PAGE}, "interactions_raw", "data"),
    "tables": (PAGE, {}, "interactions_raw", "tables"),
}


def loader(source: Path, env: str | None = None, given: dict[str, Any] | None = None) -> ConfigLoader:
    arguments: dict[str, Any] = dict(CONFIG_LOADER_ARGS)
    return ConfigLoader(str(source), env=env, runtime_params=given, **arguments)


def fits(found: Any, name: str) -> bool:
    value = PARAMETERS[name][0]
    if name == "tables":  # what it is not given has its default
        return found is not None and TablesParameters.model_validate(found) == TablesParameters.model_validate(value)
    return found == value or (name == "tables_path" and str(found).startswith(f"{value}/"))


def test_every_parameter_that_the_catalog_reads_is_tried_here() -> None:
    assert set(PARAMETERS) == set(DataParameters.model_fields)


@pytest.mark.parametrize("name", sorted(PARAMETERS))
@pytest.mark.parametrize("where", ["conf/local", "an environment", "--params", "an archive"])
def test_a_parameter_reaches_the_catalog_wherever_it_is_set(project: Project, where: str, name: str) -> None:
    value, others, entry, argument = PARAMETERS[name]
    conf = project.path("conf")
    values = {name: value} | others
    if where == "--params":
        found = loader(conf, given=values)
    else:
        env = "mine" if where == "an environment" else "local"
        (conf / env).mkdir(exist_ok=True)
        (conf / env / "parameters.yml").write_text(yaml.safe_dump(values))
        if where == "an archive":
            with tarfile.open(project.path("conf.tar.gz"), "w:gz") as archive:
                archive.add(conf, "conf")
            conf = project.path("conf.tar.gz")
        found = loader(conf, None if env == "local" else env)
    assert fits(found["catalog"][entry][argument], name)
    assert not fits(loader(ROOT / "conf", "base")["catalog"][entry][argument], name)


def test_what_a_run_is_given_comes_before_its_files(project: Project) -> None:
    project.path("conf/local/parameters.yml").write_text("seed: 7\nsynthetic_movielens: {users: 70}\n")
    given = {"seed": 8, "synthetic_movielens": {"ratings": 90}}
    entry = loader(project.path("conf"), given=given)["catalog"]["interactions_raw"]
    assert (entry["seed"], entry["synthetic"]) == (8, {"users": 70, "items": 1000, "ratings": 90})


def test_the_page_of_ones_own_tables_is_read_as_parameters(project: Project) -> None:
    project.path("conf/local/tables.yml").write_text(json.dumps({"data": "tables", "tables": PAGE}))
    found = loader(project.path("conf"))["parameters"]
    assert (found["data"], found["tables"]) == ("tables", PAGE)
    assert loader(project.path("conf"), given={"data": "movielens"})["parameters"]["data"] == "movielens"


def test_two_configurations_of_one_process_do_not_mix() -> None:
    first, second = (loader(ROOT / "conf", "base", {"seed": seed}) for seed in (1, 2))
    assert [one["catalog"]["interactions_raw"]["seed"] for one in (first, second, first)] == [1, 2, 1]


def test_an_entry_of_ones_own_may_read_any_parameter(project: Project) -> None:
    catalog = project.path("conf/local/catalog.yml")
    entry = "mine:\n  type: tandem.datasets.AtomicJSONDataset\n  filepath: data/top-${parameter:ncf.%s}.json\n"
    catalog.write_text(entry % "top_n")
    assert loader(project.path("conf"))["catalog"]["mine"]["filepath"] == "data/top-10.json"
    catalog.write_text("mine:\n  type: x.Dataset\n  filepath: ${parameter:sed}\n")
    assert project.run("--dry-run", env="local").error.startswith(
        "conf/local/catalog.yml: mine.filepath: there is no parameter sed; did you mean seed?"
    )


def test_home_is_expanded_in_paths(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    project.path("conf/local/catalog.yml").write_text(
        "ncf_metrics:\n  type: tandem.datasets.AtomicJSONDataset\n  filepath: ~/metrics.json\n"
    )
    given = {"movielens": "ml-1m", "movielens_path": "~/log", "tables_path": "~"}
    catalog = loader(project.path("conf"), given=given)["catalog"]
    assert catalog["interactions_raw"]["path"] == "/home/me/log"
    assert catalog["users"]["filepath"].startswith("/home/me/02_intermediate/")
    assert catalog["ncf_metrics"]["filepath"] == "/home/me/metrics.json"


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        (
            "movielens=ml-1m,movielens_path=2024",
            r"movielens_path: expected a path .* the number 2024; put \./ ",
        ),
        ("tables_path=2024_01", "tables_path: expected a path or an address, found the number 202401; put ./ before"),
        ("tables_path=null", "tables_path: expected a path or an address, found nothing"),
        ("tables_path=~nobody-has-this-name/x", "tables_path: .*: no home folder is known for ~nobody-has-this-name"),
        ("tables_path=gs://bucket/a", "tables_path: gs://bucket/a: gs:// is not known"),
        (
            "movielens_path=LOG",
            "movielens_path: found LOG with movielens=synthetic, .*; add movielens=ml-100k or ml-1m",
        ),
        ("movielens=parquet", "movielens: parquet is no MovieLens any more; .* tandem describe FILE"),
        ("data=tables", "tables: data=tables needs the block tables, .*; tandem describe FILE"),
        ("data=table", "data: expected 'movielens' or 'tables', found 'table'"),
        ("recsys2021_path=DIR", "recsys2021_path: found DIR with recsys2021=planted, .*; add recsys2021=files$"),
        ("recsys2021=files", "recsys2021_path: recsys2021=files needs the folder of train/ and test/; add"),
        ("recsys2021_rows=10", "recsys2021_rows: expected at least 100, found 10"),
        ("recsys2021_rows=many", "recsys2021_rows: expected a whole number, found 'many'"),
        ("recsys2021_future=skip", "recsys2021_future: expected 'error', 'keep' or 'drop', found 'skip'"),
        ("recsys2021=plantd", "recsys2021: expected 'planted', 'noise', 'unique' or 'files', found 'plantd'"),
        ("synthetic_movielens.user=3", "synthetic_movielens.user: there is no such parameter; did you mean users?"),
        ("synthetic_movielens.ratings=9000", "synthetic_movielens: 9000 ratings do not fit 60 users x 80 items"),
        ("seed=true", "seed: expected a whole number, found True"),
    ],
)
def test_what_the_catalog_cannot_be_made_from_is_told_before_anything_runs(
    project: Project, parameters: str, line: str
) -> None:
    assert re.match(line, project.run("--params", parameters).error)
    assert not project.path("data").exists()


def test_a_log_named_in_a_file_is_read_and_left_as_it_is(spark: SparkSession, project: Project, tmp_path: Path) -> None:
    rows = {"user_id": [1, 1, 2], "item_id": [4, 5, 4], "timestamp": [10, 20, 30]}
    log = tmp_path / "log"
    log.mkdir()
    pq.write_table(pa.table(rows), log / "interactions.parquet")
    page = {"path": str(log), "interactions": {"file": "interactions.parquet", **COLUMNS}}
    project.path("conf/local/tables.yml").write_text(json.dumps({"data": "tables", "tables": page}))
    done = project.run("--nodes", "clean_interactions", env="local")
    assert done.code == 0, done.err
    assert pq.read_table(project.path("data/02_intermediate/interactions/interactions.parquet")).num_rows == 3
    assert "generated" not in done.err
    assert [file.name for file in log.iterdir()] == ["interactions.parquet"]


def test_generated_data_are_said_to_be_generated(spark: SparkSession, project: Project) -> None:
    done = project.run("--nodes", "clean_interactions", "--params", "synthetic_movielens.ratings=900")
    assert done.code == 0, done.err
    place = project.path("data/01_raw/movielens/synthetic-60x80-900-seed42")
    assert f"movielens=synthetic: the ratings are generated ones, in {place}" in done.err


def test_a_configuration_is_checked_without_a_run_too() -> None:
    with pytest.raises(UserError, match=r"^seed: expected at least 0, found -1$"):
        loader(ROOT / "conf", "base", {"seed": -1})["catalog"]
