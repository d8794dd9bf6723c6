"""The page of parameters is what its script writes from the models and conf/base."""

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "parameters.md"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "generate_parameters.py"))


def test_the_page_is_up_to_date(script):
    assert PAGE.read_text(encoding="utf-8") == script["render"](), "run .venv/bin/python docs/generate_parameters.py"


def test_every_parameter_that_a_configuration_sets_is_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    files = sorted((ROOT / "conf").glob("[!l]*/parameters.yml"))
    names = {name for file in files for name in dotted(yaml.safe_load(file.read_text()))}
    assert len(names) > 20
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1}, "int ≥ 1"),
        ({"type": "number", "exclusiveMinimum": 0.0, "exclusiveMaximum": 1.0}, "float > 0 and < 1"),
        ({"anyOf": [{"const": "auto"}, {"type": "integer"}]}, "`auto` or int"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"type": "array", "items": {"type": "integer"}}, "list of int"),
        ({"anyOf": [{"$ref": "#/$defs/X"}, {"type": "null"}]}, "section or null"),
    ],
)
def test_types_are_told_in_words(script, schema, words):
    assert script["type_in_words"](schema) == words


def test_a_parameter_without_a_meaning_is_refused(script):
    with pytest.raises(ValueError, match=r"ncf\.mystery has no description"):
        script["_row"]("ncf.mystery", {"type": "integer"}, None, nested=False)


def test_a_meaning_without_a_parameter_is_refused(script):
    script["MEANINGS"]["ncf.gone"] = "was removed"
    try:
        with pytest.raises(ValueError, match=r"ncf\.gone, which is no parameter"):
            script["render"]()
    finally:
        del script["MEANINGS"]["ncf.gone"]


def dotted(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
