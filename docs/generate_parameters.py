"""Writes ``parameters.md`` from the models in ``tandem.parameters`` and the values in ``conf/base``.

Run: ``.venv/bin/python docs/generate_parameters.py``. A test holds that the page is what this writes.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from tandem.parameters import (
    CleaningParameters,
    ClickParameters,
    DataParameters,
    DistributedParameters,
    NCFParameters,
    RecSys2021FeatureParameters,
    SparkParameters,
    SyntheticMovieLens,
    TablesParameters,
    TwoTowerParameters,
)

HERE = Path(__file__).resolve().parent
CONFIGURATION = HERE.parent / "conf" / "base"
PAGE = HERE / "parameters.md"

Schema = Mapping[str, Any]

INTRODUCTION = """\
# Parameters

<!-- Written by docs/generate_parameters.py: change src/tandem/parameters/ or conf/base, then run it again. -->

Set them in `conf/<environment>/parameters.yml` (`conf/local` is yours and not in git) or for one run by
`--params ncf.epochs=5,seed=7`. A list is `--params 'ncf.recommend_users=[1,2]'`, a text with a comma
`--params 'movielens_path="a,b"'`, in quotes for the shell, and `null` is no value. An unknown name, a
wrong type and a value outside its limits are errors before anything runs; at the top level, known is what `conf/base`
has, or a node or the catalog takes, so a parameter of your own stands in `conf/base` too.

A catalog of your own (`conf/local/catalog.yml`) reads any of them as `${parameter:NAME}`.

*Default* is that of the typed model, which the library uses; *conf/base* is what a run uses where it differs.
`conf/reference` and `conf/test` change some of these again.
"""

RULES = (
    "Together: `sampled_softmax` needs `negatives` fresh or shared, stored negatives need at least one per positive, "
    "`early_stopping` needs a `validation_fraction` above 0, and `refit` needs `early_stopping`."
)

FEATURE_RULES = (
    "See [features](features.md). Together: `count_edges` ascend, and no two `crosses` name the same columns. A cross "
    "is a list of `columns` (encoded ones, at least two) and its number of `buckets`."
)

TABLES_RULES = (
    "See [a log of your own](own_tables.md). Together: `file`, or `train` and `test`; `threshold` needs a `label`, and "
    "`time_format` a `time`."
)

WND_RULES = (
    "`wnd` is Wide & Deep; every [other click model](custom_models.md#a-click-model-beside-the-others), as DeepFM, "
    "has a block of its own name with the same parameters; `conf/base/parameters_NAME.yml` has its values. Together: "
    "`early_stopping` needs a `validation_fraction` above 0, and `builder_options` and `framework: torch` need a "
    "`builder`. Columns are those of `data/05_model_input/wnd`."
)

TWO_TOWER_RULES = (
    "Together: `early_stopping` needs a `validation_fraction` above 0, `builder_options` need a `builder`, and "
    "published lists are no longer than `candidates`."
)

SPARK_RULES = "See [clusters](clusters.md). Together: a master `k8s://…` needs `kubernetes.image`."

SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("tables", TablesParameters, TABLES_RULES),
    ("synthetic_movielens", SyntheticMovieLens, ""),
    ("interactions_cleaning", CleaningParameters, ""),
    ("ncf", NCFParameters, RULES),
    ("recsys2021_features", RecSys2021FeatureParameters, FEATURE_RULES),
    ("wnd", ClickParameters, WND_RULES),
    ("two_tower", TwoTowerParameters, TWO_TOWER_RULES),
    ("spark", SparkParameters, SPARK_RULES),
    ("distributed", DistributedParameters, ""),
)

# Of parameters whose model says nothing beside their name. A description there takes the place of an entry here.
MEANINGS = {
    "ncf.split": "which interactions test: a share of each user's, each user's latest one (without times "
    "a drawn one), the latest of all, or those that the log's own split says",
    "ncf.model.hidden_units": "widths of the MLP's layers",
    "ncf.model.embedding_init_std": "of the normal distribution that embeddings start from",
    "ncf.loss": "binary cross entropy, or each positive against its negatives",
    "ncf.epochs": "at most, where early stopping is on",
    "ncf.learning_rate": "Adam's, at its highest",
    "ncf.learning_rate_schedule": "after the warm-up; linear and cosine end at zero with the last epoch",
    "ncf.warmup_epochs": "linear from zero; fractions count",
    "ncf.precision": "of the forward and backward pass (autocast); weights stay fp32",
    "ncf.early_stopping": "null trains all epochs and validates nothing",
    "ncf.early_stopping.metric": "which the best epoch is chosen by, and its weights restored",
    "ncf.early_stopping.patience": "epochs without a better value before the end",
    "ncf.early_stopping.smoothing": "the metric's mean over so many last epochs is compared",
    "ncf.resume": "continue from the last checkpoint of the same data, settings and number of ranks",
    "ncf.top_n": "length of the published lists",
    "ncf.recommend_users": "users to publish lists for, by the ids of the log",
    "ncf.baselines.models": "in the order of the report",
    "ncf.baselines.ease_l2": "penalty of EASE (tuned: on a grid around it)",
    "ncf.baselines.als_factors": "width of ALS (the start, when tuned)",
    "ncf.baselines.als_regularization": "penalty of ALS (the start, when tuned)",
    "ncf.baselines.als_alpha": "weight of an interaction in ALS (the start, when tuned)",
    "ncf.baselines.als_iterations": "of ALS",
    "distributed.num_ranks": "auto: one per NUMA domain, at least two where two cores are free; fewer where rows "
    "are too few; one without Horovod",
    "distributed.cores_per_rank": "auto: as many as give all ranks the same number inside one NUMA domain",
    "distributed.bind": "bind each rank to its cores",
    "distributed.start_timeout_seconds": "for all ranks to meet",
    "distributed.stall_timeout_seconds": "in which no rank computes, reads, writes or reports anything",
    "distributed.timeout_seconds": "for the whole job; null: none",
}


class Row(NamedTuple):
    """One parameter: its dotted name, its type in words, its default and conf/base's value as YAML, its meaning."""

    name: str
    type: str
    default: str
    base: str
    meaning: str


def render() -> str:
    """The page. Raises ValueError for a parameter without a meaning, or a meaning without a parameter."""
    parameters = _read("parameters*.yml")
    parts = [INTRODUCTION, "## Top level\n", _table(list(_top_level(parameters)))]
    unused = set(MEANINGS)
    for name, model, note in SECTIONS:
        schema = model.model_json_schema()
        rows = list(_rows(schema, schema.get("$defs", {}), name, parameters.get(name)))
        unused -= {row.name for row in rows}
        introduction = " ".join(filter(None, (_sentence(schema), note)))
        parts += [f"## `{name}`\n", f"{introduction}\n", _table(rows)]
    if unused:
        raise ValueError(f"MEANINGS in {__file__} has {sorted(unused)[0]}, which is no parameter any more: remove it")
    return "\n".join(parts)


def type_in_words(schema: Schema) -> str:
    """A JSON schema of one value as ``int ≥ 1``, ```` `a` or `b` ````, ``null``, ``list of int``."""
    if "anyOf" in schema:
        return " or ".join(type_in_words(option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        *others, last = [f"`{value}`" for value in schema.get("enum", [schema.get("const")])]
        return f"{', '.join(others)} or {last}" if others else last
    if "$ref" in schema:
        return "section"
    if schema["type"] == "array":
        return f"list of {type_in_words(schema['items'])}"
    word = {"integer": "int", "number": "float", "boolean": "bool"}.get(schema["type"], schema["type"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {_limit(schema[key])}" for key, sign in signs.items() if key in schema]
    return " ".join([word, " and ".join(limits)]) if limits else word


def _limit(number: float) -> str:
    return "2³¹" if number == 2**31 else f"{number:g}"


def _read(pattern: str) -> dict[str, Any]:
    """The blocks of all files of these names."""
    content: dict[str, Any] = {}
    for path in sorted(CONFIGURATION.glob(pattern)):
        content |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _top_level(parameters: Schema) -> Iterator[Row]:
    """What stands beside the blocks: single values, which the catalog reads."""
    for name, field in DataParameters.model_json_schema()["properties"].items():
        if "$ref" not in field:
            yield _row(name, field, parameters.get(name, field.get("default")), nested=False)


def _rows(schema: Schema, models: Schema, prefix: str, base: Any) -> Iterator[Row]:
    """The parameters of a model and of those in it; ``base`` is what conf/base sets for them."""
    base = base if isinstance(base, dict) else {}
    for key, field in schema["properties"].items():
        name = f"{prefix}.{key}"
        inner = next((models[option["$ref"].rsplit("/", 1)[1]] for option in _options(field) if "$ref" in option), None)
        if inner is None or "anyOf" in field:
            yield _row(name, field, base.get(key, field.get("default")), nested=inner is not None)
        if inner is not None:
            yield from _rows(inner, models, name, base.get(key))


def _row(name: str, field: Schema, base: Any, *, nested: bool) -> Row:
    meaning = field.get("description") or MEANINGS.get(name)
    if not meaning:
        raise ValueError(f"{name} has no description: add one in src/tandem/parameters/")
    if nested:
        return Row(name, type_in_words(field), "", "", meaning)
    default = _value(field.get("default"))
    return Row(name, type_in_words(field), default, "" if _value(base) == default else _value(base), meaning)


def _options(field: Schema) -> list[Schema]:
    return field.get("anyOf", [field])


def _value(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _sentence(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("``", "`").split("\n\n")[0].replace("\n", " ")


def _table(rows: list[Row]) -> str:
    lines = ["| parameter | type | default | conf/base | meaning |", "|---|---|---|---|---|"]
    for name, *others in rows:
        cells = [cell.replace("|", "\\|") for cell in (f"`{name}`", *others)]
        lines.append(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in cells)}|")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
