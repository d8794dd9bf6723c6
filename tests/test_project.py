"""The rules of the graph, the catalog and the command, held for every pipeline there is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.io import CatalogConfigResolver
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.validation import TypeExtractor
from pydantic import BaseModel

from projects import ROOT
from tandem.cli.run_command import pipelines_asked
from tandem.config_loader import ConfigLoader
from tandem.hooks import parameter_types, submit_arguments
from tandem.models.click import CLICK_MODELS

LAYERS = ("raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting")
SUBJECTS = ("interactions", "ncf", "recsys2021", "two_tower", *CLICK_MODELS)
FURTHER = set(CLICK_MODELS) - {"wnd"}
# What the nodes of one model carry; those that prepare data for two carry all of theirs, joint lists the last alone.
DATA_OF_RECSYS2021 = {"wnd", "two_tower", "recsys2021"}
TAGS = ({"ncf"}, {"wnd", "recsys2021"}, {"two_tower", "recsys2021"}, DATA_OF_RECSYS2021, {"recsys2021"})
# In the folder of one layer, but made from what a later one holds: kedro-viz would draw no layers at all.
# What any log ends in has no data set's and no model's name; raw files are of the data set that they are from.
OF_ANY_LOG = {"interactions", "users", "items"}
# Read alone, and of all models: the folder in which each has its own.
READ_OF_ALL = {"click_reports": "data/08_reporting"}
RAW_FOLDERS = {"interactions_raw": "movielens"}
WITHOUT_LAYER = {
    "recsys2021_user_features": "feature",
    "recsys2021_item_features": "feature",
    "two_tower_index": "models",
}
HEAVY = {"pyspark", "torch", "tensorflow", "keras"}


@pytest.fixture(scope="module")
def whole() -> Pipeline:
    """Everything: what a plain run runs, and the click models that it leaves out."""
    configure_project("tandem")
    return sum(pipelines.values(), Pipeline([]))


@pytest.fixture(scope="module")
def nodes(whole: Pipeline) -> list[Node]:
    return whole.nodes


@pytest.fixture(scope="module")
def entries() -> dict[str, dict[str, Any]]:
    """The catalog as it is written, patterns too."""
    loader = ConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")
    return dict(loader["catalog"])


@pytest.fixture(scope="module")
def catalog(entries: dict[str, dict[str, Any]], whole: Pipeline) -> dict[str, dict[str, Any]]:
    """The catalog with the names that its patterns stand for in the graph."""
    resolver = CatalogConfigResolver(entries, default_runtime_patterns={})
    used = {name for name in whole.datasets() if not name.startswith("params:")}
    of_patterns = {name for name in used - set(entries) if resolver.match_dataset_pattern(name)}
    named = {name: dataset for name, dataset in entries.items() if "{" not in name}
    return named | {name: resolver.resolve_pattern(name) for name in sorted(of_patterns)}


def entry(name: str) -> str:
    """A catalog entry without its transcoding: ``ncf_train`` for ``ncf_train@path``."""
    return name.split("@", maxsplit=1)[0]


def test_every_dataset_of_the_graph_is_in_the_catalog_so_that_nothing_lives_in_memory_alone(
    catalog: dict[str, dict[str, Any]], nodes: list[Node]
) -> None:
    used = {name for node in nodes for name in (*node.inputs, *node.outputs) if not name.startswith("params:")}
    assert used <= set(catalog)
    assert not [name for name, dataset in catalog.items() if "Memory" in dataset["type"]]


def test_every_entry_of_the_catalog_is_used(catalog: dict[str, dict[str, Any]], nodes: list[Node]) -> None:
    used = {entry(name) for node in nodes for name in (*node.inputs, *node.outputs)}
    assert {entry(name) for name in catalog} <= used


def test_a_pattern_has_the_entries_of_every_click_model_and_of_nothing_else(
    entries: dict[str, dict[str, Any]], whole: Pipeline
) -> None:
    resolver = CatalogConfigResolver(entries, default_runtime_patterns={})
    patterns = {name for name in entries if "{" in name}
    caught = {name: resolver.match_dataset_pattern(name) for name in whole.datasets() - set(entries)}
    caught = {name: pattern for name, pattern in caught.items() if pattern}
    expected = {pattern.replace("{model}", model): pattern for pattern in patterns for model in CLICK_MODELS}
    assert caught == expected


def test_names_files_and_layers_of_entries_follow_one_rule(catalog: dict[str, dict[str, Any]]) -> None:
    """The data set or the model first, then what it is; the file is called the same, in the folder of its layer."""
    for name, dataset in catalog.items():
        named = re.fullmatch(rf"({'|'.join(SUBJECTS)})_[a-z_]+(@(spark|path))?", name)
        if name in READ_OF_ALL:
            assert dataset["filepath"] == READ_OF_ALL[name]
            continue
        assert named or name in OF_ANY_LOG
        layer = dataset["metadata"]["kedro-viz"].get("layer") or WITHOUT_LAYER[entry(name)]
        source = named[1] if named else "interactions"
        what = entry(name).removeprefix(f"{source}_")
        source = RAW_FOLDERS.get(name, source)
        data, folder, *rest = Path(dataset["filepath"]).parts
        assert (data, folder) == ("data", f"0{LAYERS.index(layer) + 1}_{layer}"), name
        assert source in rest, name
        assert Path(rest[-1]).stem in {what, source}, name


def test_every_node_is_named_after_what_it_does_and_carries_a_model(nodes: list[Node]) -> None:
    for node in nodes:
        assert re.fullmatch("[a-z][a-z0-9_]+", node.name)
        assert node.func.__doc__
    assert [node.name for node in pipelines["__default__"].nodes if node.tags not in TAGS] == []
    for model in FURTHER:
        assert [node for node in pipelines[model].nodes if node.tags - {model} not in (set(), DATA_OF_RECSYS2021)] == []


def test_a_plain_run_trains_no_click_model_beside_wide_and_deep() -> None:
    configure_project("tandem")
    usual = {node.name for node in pipelines["__default__"].nodes}
    assert "train_wnd" in usual
    assert FURTHER
    for model in FURTHER:
        assert {node.name for node in pipelines[model].nodes} - usual == {
            *(f"train_{model}", f"evaluate_{model}_baselines", f"predict_{model}_test", f"report_{model}")
        }


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ["__default__"]),
        ({"tags": ["wnd"]}, ["__default__"]),
        ({"tags": ["deepfm"]}, ["deepfm"]),
        ({"tags": ["deepfm", "recsys2021"]}, ["__default__", "deepfm"]),
        ({"node_names": ["train_deepfm", "report_deepfm"]}, ["deepfm"]),
        ({"node_names": ["train_deepfm", "train_wnd"]}, ["__default__", "deepfm"]),
        ({"from_nodes": ["train_wnd"]}, ["__default__"]),
        ({"to_outputs": ["deepfm_metrics"]}, ["deepfm"]),
        ({"from_inputs": ["deepfm_test_predictions@path"], "tags": ["wnd"]}, ["__default__", "deepfm"]),
        ({"tags": ["deepfm"], "from_nodes": ["make_recsys2021_rows"]}, ["deepfm"]),
        ({"tags": ["deepfm"], "pipelines": ["inference"]}, ["inference"]),
    ],
    ids=str,
)
def test_tags_and_nodes_are_found_in_the_pipelines_that_a_plain_run_leaves_out(
    options: dict[str, list[str]], asked: list[str]
) -> None:
    configure_project("tandem")
    assert pipelines_asked(options) == asked


@pytest.mark.parametrize("tag", ["ncf", "two_tower", "recsys2021", *CLICK_MODELS])
def test_the_nodes_of_a_tag_are_complete_in_themselves(tag: str) -> None:
    """From raw data to the report: what they read is made by one of them, is raw, or is a folder to work in."""
    configure_project("tandem")
    tagged = pipelines[tag if tag in FURTHER else "__default__"].only_nodes_with_tags(tag)
    free = {entry(name) for name in tagged.inputs() if not name.startswith("params:")}
    made = {entry(name) for name in tagged.all_outputs()}
    assert {name for name in free - made if not name.endswith(("_raw", "_work", "_checkpoints"))} <= set(READ_OF_ALL)
    metrics = {"recsys2021": {"wnd_metrics", "two_tower_metrics", "recsys2021_recommendations"}}
    assert metrics.get(tag, {f"{tag}_metrics"}) <= made


def test_every_parameter_has_a_type_that_is_checked(whole: Pipeline, nodes: list[Node]) -> None:
    """Blocks are Pydantic models that Kedro itself finds; a single value has a plain type, which the hook checks."""
    used = {name.removeprefix("params:") for node in nodes for name in node.inputs if name.startswith("params:")}
    types = parameter_types([whole])
    assert set(types) == used
    blocks = {name for name, type_ in types.items() if isinstance(type_, type) and issubclass(type_, BaseModel)}
    assert set(TypeExtractor({"all": whole}).extract_types_from_pipelines()) == blocks
    assert used - blocks == {"seed", "data", "tables", "movielens", "movielens_path", "recsys2021", "recsys2021_path"}
    for name in blocks:
        assert types[name].model_config["extra"] == "forbid"


@pytest.mark.parametrize(
    "command",
    [["--help"], ["registry", "list"], ["registry", "describe"], ["catalog", "describe-datasets"], ["run", "--help"]],
    ids=" ".join,
)
def test_kedro_commands_need_neither_spark_nor_a_framework(command: list[str]) -> None:
    program = (
        "import sys\n"
        "from kedro.framework.cli.cli import main\n"
        "try:\n"
        f"    sys.argv = ['kedro', *{command!r}]\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"sys.exit(f'imported: {{loaded}}' if (loaded := {HEAVY!r} & set(sys.modules)) else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if "list" in command:
        assert "ncf_training" in done.stdout


def test_spark_settings_survive_a_shell() -> None:
    arguments = submit_arguments({"spark.b": True, "spark.a": "-Xmx1g -Da='b c'"})
    assert arguments == """--conf 'spark.a=-Xmx1g -Da='"'"'b c'"'"'' --conf spark.b=true pyspark-shell"""
