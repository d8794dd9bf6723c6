"""The keys of JSON lines, those of objects inside of objects with dots between. No Spark here."""

import json
from collections.abc import Iterator
from typing import Any

from tandem.sources.tables.text_files import LOOKED_AT, TextFile, opened_text

_MOST = 10_000


def names_in(file: TextFile) -> tuple[str, ...]:
    """Of the first objects of a file; what is no object has none."""
    found: dict[str, None] = {}
    read = 0
    with opened_text(file) as text:
        for count, line in enumerate(text):
            read += len(line)
            if count >= _MOST or read > LOOKED_AT:
                break
            found |= dict.fromkeys(_names(_parsed(line)))
    return tuple(found)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _names(value: Any, above: str = "") -> Iterator[str]:
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        yield above + name
        yield from _names(inner, f"{above}{name}.")


def at(value: Any, name: str) -> Any:
    """What an object has under a name: its own key, or ``b`` of its object ``a`` for ``a.b``; None where it has not."""
    if name in value:
        return value[name]
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
