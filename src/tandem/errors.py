"""The one exception that speaks to the user, and the words for parameters that do not fit."""

import difflib
import re
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError


class UserError(Exception):
    """Something the user can mend: its text says what is wrong, where, and what to do, in one line.

    The entry points print that line and exit with a non-zero code, without a traceback. Everything else that is
    raised is a fault of ours and keeps its traceback.
    """


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``did you mean epochs?``, or all known names where none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(names)}"


def invalid_parameters(name: str, type_: Any, error: ValidationError) -> list[str]:
    """One short text for each parameter that does not fit, by its full name: ``ncf.epochs: expected …, found …``.

    Args:
        name: the parameter that was validated, such as ``ncf``; empty where it is several at the top.
        type_: what it was validated as; a Pydantic model, for its fields' names.
        error: what Pydantic found.
    """
    texts: list[str] = []
    expected: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    for detail in error.errors(include_url=False):
        unknown = detail["type"] == "extra_forbidden"
        place, owner = _place(type_, detail["loc"], unknown=unknown)
        path = ".".join(filter(None, (name, *place)))
        if unknown:
            texts.append(f"{path}: there is no such parameter; {did_you_mean(place[-1], owner)}")
        elif detail["type"] in ("value_error", "assertion_error"):
            texts.append(f"{path}: {detail['msg'].split(', ', 1)[1]}")
        else:
            expected.setdefault(path, []).append(_expectation(detail["type"], detail["msg"]))
            found[path] = detail["input"]
    for path, choices in expected.items():
        # Each member of a union complains: together they say what is possible; what is inside of one says it better.
        if not any(other.startswith(f"{path}.") for other in expected):
            value = found[path]
            hint = f"; write [{value}]" if "a list" in choices and isinstance(value, str | int | float) else ""
            texts.append(f"{path}: expected {' or '.join(choices)}, found {value!r}{hint}")
    return texts


def _place(type_: Any, location: tuple[int | str, ...], *, unknown: bool) -> tuple[list[str], list[str]]:
    """The fields' names and positions in a location, without Pydantic's marks of unions; and the last one's siblings.

    Where a parameter is unknown, its name is the last part of the location.
    """
    place: list[str] = []
    inner, named = _model(type_), None
    siblings = list(inner.model_fields) if inner is not None else []
    for index, part in enumerate(location):
        if inner is not None and part in inner.model_fields:
            place.append(str(part))
            named = inner.model_fields[str(part)].annotation
            siblings, inner = list(inner.model_fields), _model(named)
            continue
        if isinstance(part, int) or (unknown and index + 1 == len(location)) or _is_key(named, part):
            place.append(str(part))
            siblings = list(inner.model_fields) if inner is not None else siblings
        named = None
    return place, siblings


def _is_key(annotation: Any, part: int | str) -> bool:
    """Whether a part of a location, behind a parameter of this annotation, is a name in a block of free names."""
    return get_origin(annotation) is dict and part != "[key]"


def _model(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


_WORDS = {
    "valid integer": "a whole number",
    "valid number": "a number",
    "finite number": "a finite number",
    "valid boolean": "true or false",
    "valid string": "a text",
    "valid tuple": "a list",
}


def _expectation(kind: str, message: str) -> str:
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "a block of parameters"
    text = re.sub(r"^\w+ should (be |have )?(an? )?", "", message)
    text = re.split(r", (?:unable to|got|not) | after validation", text)[0]
    text = text.replace("greater than or equal to", "at least").replace("less than or equal to", "at most")
    return _WORDS.get(text, text.replace("greater than", "more than"))
