"""What a user gets wrong in catalog.yml, spark.yml and the like is one line with its file and entry, at the start."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from projects import ROOT, Finished, Project

ENTRY = "ncf_metrics:\n  type: tandem.datasets.AtomicJSONDataset\n  filepath: a.json\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (ENTRY.replace("JSOND", "JSONd"), r"CATALOG: ncf_metrics: there is no type .*; did you mean .*AtomicJSOND"),
        (ENTRY.replace("tandem.datasets.Atomic", "pandas.No"), "CATALOG: ncf_metrics: the type pandas.NoJSONDataset "),
        (
            ENTRY.replace("filepath", "filepth"),
            "CATALOG: ncf_metrics: filepth: .* no such argument; did you mean filep",
        ),
        (
            ENTRY.replace("filepath: a.json", "made_by: x"),
            "CATALOG: ncf_metrics: .* needs filepath, and it is not given",
        ),
        (ENTRY.replace("a.json", "2024"), r"CATALOG: ncf_metrics: expected a path .* found the number 2024; put \./"),
        (ENTRY.replace("a.json", "s3://b/a.json"), "CATALOG: ncf_metrics: s3://b/a.json is an address; .* give a path"),
        (
            ENTRY.replace("ncf_metrics", "ncf_metrcs"),
            "CATALOG: ncf_metrcs: no node reads .*; did you mean ncf_metrics?",
        ),
        (f"{ENTRY}  versioned: true\n", "CATALOG: ncf_metrics: versioned: .* have no versions; remove it"),
        (f"{ENTRY}  credentials: mine\n", "the catalog cannot be made: Unable to find credentials 'mine'"),
        ("ncf_metrics: [a]\n", r"CATALOG: ncf_metrics: expected a dataset, a block with its type, found \['a'\]"),
        ("ncf_metrics:\n  filepath: a.json\n", "CATALOG: ncf_metrics: expected a type such as .*, found none"),
        (
            ENTRY.replace("a.json", "${_tabels}/a"),
            "CATALOG: ncf_metrics.filepath: Interpolation key '_tabels' not found",
        ),
        (
            ENTRY.replace("a.json", "~nobody-has-this/a"),
            "CATALOG: ncf_metrics: .*: no home folder is known for ~nobody",
        ),
        ("- a\n", "CATALOG: expected names with values, found a list; write NAME: VALUE"),
        ("a: [b\n", "the configuration cannot be read: CATALOG, row 2, column 1: "),
        (ENTRY + ENTRY, "the configuration cannot be read: CATALOG, row 4, column 1: found duplicate key ncf_metrics"),
    ],
)
def test_a_fault_in_the_catalog_is_told_by_file_and_entry(project: Project, text: str, line: str) -> None:
    project.path("conf/test/catalog.yml").write_text(text)
    told = project.run("--dry-run", "--nodes", "report_ncf").error
    assert re.match(line.replace("CATALOG", "conf/test/catalog.yml"), told), told


def test_an_entry_of_ones_own_may_stand_beside_those_of_the_graph(project: Project) -> None:
    project.path("conf/test/catalog.yml").write_text(ENTRY.replace("ncf_metrics", "my_notes"))
    assert project.run("--dry-run").code == 0


def test_an_entry_may_take_the_place_of_a_patterns_and_a_misspelt_one_is_told(project: Project) -> None:
    """``wnd_test_predictions@spark`` is no node's of this run, and its name is almost that of one that is."""
    entry = ENTRY.replace("AtomicJSON", "ParquetFolder")
    project.path("conf/test/catalog.yml").write_text(entry.replace("ncf_metrics", "wnd_test_predictions@spark"))
    assert project.run("--dry-run").code == 0
    project.path("conf/test/catalog.yml").write_text(ENTRY.replace("ncf_metrics", "deepfm_metrcs"))
    told = project.run("--dry-run", tags="deepfm").error
    assert told == "conf/test/catalog.yml: deepfm_metrcs: no node reads or writes it; did you mean deepfm_metrics?"


def test_a_fault_of_a_pattern_is_told_by_its_file_and_pattern(project: Project) -> None:
    file = project.path("conf/base/catalog_click.yml")
    file.write_text(file.read_text().replace("  filepath: data/08_reporting/{model}/ranks.json", "  filepth: a.json"))
    told = project.run("--dry-run", tags="deepfm").error
    assert told.startswith("conf/base/catalog_click.yml: {model}_ranks: filepth: ")


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("spark.yml", "- a\n", "conf/test/spark.yml: expected names with values, found a list"),
        (
            "spark.yml",
            "spark: {ui: {enabled: true}}\n",
            "spark.yml: spark: expected a setting of Spark's with its value",
        ),
        ("spark.yml", "park.ui.enabled: true\n", "spark.yml: park.ui.enabled: expected a setting of Spark's"),
        ("parameters.yml", "- a\n", "conf/test/parameters.yml: expected names with values, found a list"),
        (
            "parameters_b.yml",
            "ncf: {epochs: 3}\n",
            "Duplicate keys found in .*: ncf.epochs; keep each in one of the files",
        ),
        ("parameters_b.yml", "ncf: {top_n: '${seed_}'}\n", "conf/test/parameters_b.yml: ncf.top_n: Interpolation key"),
        (
            "parameters_b.yml",
            "seed: ${parameter:seed}\n",
            "conf/test/parameters_b.yml: seed: Unsupported interpolation",
        ),
    ],
)
def test_a_fault_in_another_file_is_told(project: Project, file: str, text: str, line: str) -> None:
    project.path(f"conf/test/{file}").write_text(text)
    told = project.run("--dry-run").error
    assert re.match(line, told), told


def test_bytes_of_another_encoding_are_told(project: Project) -> None:
    project.path("conf/test/catalog.yml").write_bytes(b"# caf\xe9\n")
    line = "the configuration cannot be read: conf/test/catalog.yml: it is not written in UTF-8"
    assert project.run("--dry-run").error == line


@pytest.mark.parametrize(
    ("versions", "line"),
    [
        (
            "ncf_metrics:2024-01-01T00.00.00.000Z",
            "--load-versions: the dataset ncf_metrics has no versions; leave it out",
        ),
        ("ncf_metrcs:2024", "'load_versions' keys [ncf_metrcs] are not found in the catalog."),
        ("ncf_metrics", "Expected the form of 'load_versions' to be 'dataset_name:YYYY-MM-DDThh.mm.ss.sssZ',"),
    ],
)
def test_versions_that_there_are_not_are_refused(project: Project, versions: str, line: str) -> None:
    assert project.run("--dry-run", "--load-versions", versions).error.startswith(line)


def command(folder: Path, *words: str, **environment: str) -> Finished:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("text", ["a: [", "version: 1\nhandlers: {x: {class: logging.Nothing}}\n", None])
def test_a_logging_configuration_that_cannot_be_used_is_told(project: Project, text: str | None) -> None:
    file = project.path("log.yml")
    if text is not None:
        file.write_text(text)
    done = command(project.folder, "-m", "tandem", "doctor", KEDRO_LOGGING_CONFIG=str(file))
    assert done.error.startswith(f"the logging configuration {file} cannot be used: ")


def test_kedros_own_commands_tell_it_in_a_line_too(project: Project) -> None:
    project.path("conf/local/parameters.yml").write_text("seed: -1\n")
    program = "from kedro.framework.cli.cli import main; main()"
    done = command(project.folder, "-c", program, "catalog", "describe-datasets")
    assert done.error == "seed: expected at least 0, found -1"


def test_generated_files_go_home_where_that_is_said(project: Project, tmp_path: Path) -> None:
    generate = ("-m", "tandem", "generate", "movielens", "--users=20", "--items=30", "--ratings=300")
    assert command(project.folder, *generate, "--out=~/made", HOME=str(tmp_path)).code == 0
    assert (tmp_path / "made" / "u.data").is_file()
    line = command(project.folder, *generate, "--out=s3://bucket/made").error
    assert "s3://bucket/made is an address; what belongs here is kept on this machine" in line
