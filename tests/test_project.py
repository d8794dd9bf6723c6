"""The rules of the graph, the catalog and the command, held for every pipeline there is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.pipeline.node import Node
from kedro.validation import TypeExtractor
from pydantic import BaseModel

from projects import ROOT
from tandem.config_loader import ConfigLoader
from tandem.hooks import parameter_types, submit_arguments

LAYERS = ("raw", "intermediate", "primary", "feature", "model_input", "models", "model_output", "reporting")
SUBJECTS = ("interactions", "ncf", "recsys2021", "two_tower", "wnd")
# What the nodes of one model carry; those that prepare data for two carry all of theirs, joint lists the last alone.
TAGS = ({"ncf"}, {"wnd", "recsys2021"}, {"two_tower", "recsys2021"}, {"wnd", "two_tower", "recsys2021"}, {"recsys2021"})
# In the folder of one layer, but made from what a later one holds: kedro-viz would draw no layers at all.
# What any log ends in has no data set's and no model's name; raw files are of the data set that they are from.
OF_ANY_LOG = {"interactions", "users", "items"}
RAW_FOLDERS = {"interactions_raw": "movielens"}
WITHOUT_LAYER = {
    "recsys2021_user_features": "feature",
    "recsys2021_item_features": "feature",
    "two_tower_index": "models",
}
HEAVY = {"pyspark", "torch", "tensorflow", "keras"}


@pytest.fixture(scope="module")
def catalog() -> dict[str, dict[str, Any]]:
    loader = ConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")
    return dict(loader["catalog"])


@pytest.fixture(scope="module")
def nodes() -> list[Node]:
    configure_project("tandem")
    return pipelines["__default__"].nodes


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


def test_names_files_and_layers_of_entries_follow_one_rule(catalog: dict[str, dict[str, Any]]) -> None:
    """The data set or the model first, then what it is; the file is called the same, in the folder of its layer."""
    for name, dataset in catalog.items():
        named = re.fullmatch(rf"({'|'.join(SUBJECTS)})_[a-z_]+(@(spark|path))?", name)
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
        assert node.tags in TAGS
        assert node.func.__doc__


@pytest.mark.parametrize("tag", ["ncf", "wnd", "two_tower", "recsys2021"])
def test_the_nodes_of_a_tag_are_complete_in_themselves(tag: str) -> None:
    """From raw data to the report: what they read is made by one of them, is raw, or is a folder to work in."""
    configure_project("tandem")
    tagged = pipelines["__default__"].only_nodes_with_tags(tag)
    free = {entry(name) for name in tagged.inputs() if not name.startswith("params:")}
    made = {entry(name) for name in tagged.all_outputs()}
    assert {name for name in free - made if not name.endswith(("_raw", "_work", "_checkpoints"))} == set()
    metrics = {"recsys2021": {"wnd_metrics", "two_tower_metrics", "recsys2021_recommendations"}}
    assert metrics.get(tag, {f"{tag}_metrics"}) <= made


def test_every_parameter_has_a_type_that_is_checked(nodes: list[Node]) -> None:
    """Blocks are Pydantic models that Kedro itself finds; a single value has a plain type, which the hook checks."""
    used = {name.removeprefix("params:") for node in nodes for name in node.inputs if name.startswith("params:")}
    types = parameter_types([pipelines["__default__"]])
    assert set(types) == used
    blocks = {name for name, type_ in types.items() if isinstance(type_, type) and issubclass(type_, BaseModel)}
    assert set(TypeExtractor({"all": pipelines["__default__"]}).extract_types_from_pipelines()) == blocks
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
