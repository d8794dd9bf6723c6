"""What the values of a column look like. No Spark here."""

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Shape = Literal["whole", "number", "true or false", "time", "text", "list", "numbers", "other", "nothing"]

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = {
    ".": re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    ",": re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})*,[0-9]+|[+-]?[0-9]+(?:,[0-9]+)?"),
}
_ISO = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ]+[0-9]{1,2}:[0-9]{2}.*)?")
_LOCAL = re.compile(
    r"(?P<a>[0-9]{1,4})(?P<by>[./-])(?P<b>[0-9]{1,2})(?P=by)(?P<c>[0-9]{4}|[0-9]{2})"
    r"(?P<gap>[ T]+)?(?P<time>[0-9]{1,2}:[0-9]{2})?(?P<seconds>:[0-9]{2})?(?P<fraction>\.[0-9]+)?"
    r"(?P<late> ?[AaPp][Mm])?"
)
_UNITS = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (10**20, "ns"))
_OLDEST = 10**8  # seconds: the year 1973
_LOOKED_AT = 2_000


@dataclass(frozen=True)
class Facts:
    """Of one column.

    Attributes:
        name: of the column.
        shape: what all its values are; ``numbers`` are a list of them.
        rows: that were looked at.
        empty: rows without a value.
        texts: how often each value is there, as a text; of lists each element.
        time_format: of a time, in words of the parameters; None where none needs to be said.
        doubt: what is not sure of the form of a time.
        decimal: ``,`` where that stands before the fractions of numbers.
        separator: between categories of one text, where there are some.
    """

    name: str
    shape: Shape
    rows: int
    empty: int
    texts: Counter[str]
    time_format: str | None = None
    doubt: str | None = None
    decimal: str = "."
    separator: str | None = None

    @property
    def distinct(self) -> int:
        """How many values there are."""
        return len(self.texts)

    @property
    def is_key(self) -> bool:
        """Whether each row has a value of its own."""
        return self.empty == 0 and self.distinct == self.rows and self.shape in ("whole", "text", "number")


def facts_of(name: str, values: Sequence[Any]) -> Facts:
    """Look at the values of a column; None and empty texts are no values."""
    there = [value for value in values if value is not None and value not in ("", b"")]
    empty = len(values) - len(there)
    if not there:
        return Facts(name, "nothing", len(values), empty, Counter())
    if any(isinstance(value, list) for value in there):
        inside = [one for value in there if isinstance(value, list) for one in value if one is not None]
        is_text = all(isinstance(one, str) for one in inside)
        texts = Counter(map(str, inside)) if is_text else Counter[str]()
        return Facts(name, "list" if is_text else "numbers", len(values), empty, texts)
    if any(isinstance(value, dict | bytes | tuple) for value in there):
        return Facts(name, "other", len(values), empty, Counter(map(str, there)))
    return _simple(name, there, len(values), empty)


def _simple(name: str, there: Sequence[Any], rows: int, empty: int) -> Facts:
    texts = Counter(str(value) for value in there)
    some = list(texts)[:_LOOKED_AT]
    if all(isinstance(value, dt.datetime | dt.date) for value in there):
        return Facts(name, "time", rows, empty, texts)
    if all(isinstance(value, bool) for value in there) or {text.lower() for text in some} <= {"true", "false"}:
        return Facts(name, "true or false", rows, empty, texts)
    if all(_WHOLE.fullmatch(text) for text in texts):
        return Facts(name, "whole", rows, empty, texts)
    return _written(name, texts, some, rows, empty)


def _written(name: str, texts: Counter[str], some: Sequence[str], rows: int, empty: int) -> Facts:
    """Of values that are neither whole numbers nor of a type of their own."""
    for decimal, pattern in _NUMBER.items():
        if all(pattern.fullmatch(text) for text in some) and not any(_has_zeros(text) for text in some):
            return Facts(name, "number", rows, empty, texts, decimal=decimal)
    form = _form(texts)
    if form is not None:
        return Facts(name, "time", rows, empty, texts, *form)
    return Facts(name, "text", rows, empty, texts, separator=_between(some))


def _has_zeros(text: str) -> bool:
    """0001234 is a name, and no number."""
    return re.match(r"[+-]?0[0-9]", text) is not None


def unit(facts: Facts) -> str | None:
    """The unit of whole numbers since 1970, where they can be such: ``s``, ``ms``, ``us`` or ``ns``."""
    numbers = [int(text) for text in facts.texts] if facts.shape == "whole" else []
    if not numbers or min(numbers) < _OLDEST:
        return None
    found = {next((name for limit, name in _UNITS if number < limit), None) for number in numbers}
    return found.pop() if len(found) == 1 else None


def _form(texts: Counter[str]) -> tuple[str | None, str | None] | None:
    """The form of times that are written as texts, and what is not sure of it; None where they are none."""
    if all(_ISO.fullmatch(text) for text in texts):
        return None, None
    found = [_LOCAL.fullmatch(text) for text in texts]
    if not all(found):
        return None
    matches = [match for match in found if match is not None]
    forms = {_clock(match) for match in matches}
    between = {match["by"] for match in matches}
    if len(forms) != 1 or len(between) != 1:
        return None
    (clock,), (by,) = forms, between
    order, doubt = _order([(match["a"], match["b"], match["c"]) for match in matches])
    return (by.join(order) + clock, doubt) if order else None


def _clock(match: re.Match[str]) -> str:
    if match["time"] is None:
        return ""
    hours = "%I:%M" if match["late"] else "%H:%M"
    late = match["late"] or ""
    return (
        ("T" if "T" in (match["gap"] or "") else " ")
        + hours
        + (":%S" if match["seconds"] else "")
        + (".%f" if match["fraction"] else "")
        + ((" %p" if late.startswith(" ") else "%p") if late else "")
    )


def _order(parts: Sequence[tuple[str, str, str]]) -> tuple[tuple[str, str, str] | None, str | None]:
    """Which part is the day, the month and the year; and what to check where the values do not tell."""
    if all(len(first) == 4 for first, _, _ in parts):
        return ("%Y", "%m", "%d"), None
    year = "%Y" if all(len(last) == 4 for _, _, last in parts) else "%y"
    first, second = (max(int(part[index]) for part in parts) for index in (0, 1))
    if first > 31 or second > 31 or (first > 12 and second > 12):
        return None, None
    if second > 12:
        return ("%m", "%d", year), None
    doubt = None if first > 12 else "day before month? no value tells; else write %m before %d"
    return ("%d", "%m", year), doubt


def _between(texts: Sequence[str]) -> str | None:
    """The separator of several categories in one text."""
    for separator in ("|", ";", ","):
        split = [text.split(separator) for text in texts]
        parts = {part for one in split for part in one}
        several = sum(len(one) > 1 for one in split)
        # Prose has commas too, but not the same words between them.
        short = all(len(part) <= 40 for part in parts) and len(parts) <= max(20, len(texts) // 2)
        if several * 2 >= len(texts) and several > 1 and short and (separator == "|" or len(parts) < len(texts)):
            return separator
    return None
