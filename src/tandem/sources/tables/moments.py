"""Times that are written as text, as seconds since 1970 in Spark; what is no time is null."""

import re
from collections.abc import Callable, Sequence
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

LATEST = 99_999_999_999
"""Twelve digits and more are milliseconds."""
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_ISO = (
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt ]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?"
    r" *([Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_PARTS = {
    "Y": "([0-9]{4})",
    "y": "([0-9]{2})",
    "m": "([0-9]{1,2})",
    "d": "([0-9]{1,2})",
    "H": "([0-9]{1,2})",
    "I": "([0-9]{1,2})",
    "M": "([0-9]{1,2})",
    "S": "([0-9]{1,2})",
    "f": "[0-9]{1,9}",
    "b": "([A-Za-z]{3,9})[.]?",
    "B": "([A-Za-z]{3,9})[.]?",
    "p": "([AaPp][.]?[Mm][.]?)",
    "z": "([Zz]|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)",
}
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_BETWEEN = "\x01"


def moment(text: Column, form: str) -> Column:
    """Seconds since 1970 of a text of the form ``iso``, or one as in ``%d.%m.%Y %H:%M``, rounded down.

    The whole text is of that form, blanks around it aside. Without a zone it is of UTC.
    """
    pattern, letters = (_ISO, "YmdHMSz") if form == "iso" else _pattern(form)
    marks = _BETWEEN.join(f"${index}" for index in range(1, len(letters) + 1))
    # The parts of all rows by one match a row; of what does not match there is one part.
    parts = F.split(F.regexp_replace(F.trim(text), rf"^{pattern}\z", _BETWEEN + marks), _BETWEEN)
    return once(parts, partial(_of_parts, letters=letters))


def once(value: Column, make: Callable[[Column], Column]) -> Column:
    """What is made of a value, which is computed once however often it stands there."""
    return F.get(F.transform(F.array(value), lambda one: make(one)), F.lit(0))  # noqa: PLW0108 -- of one argument


def _of_parts(parts: Column, letters: Sequence[str]) -> Column:
    known = {letter: F.get(parts, F.lit(index)) for index, letter in enumerate(letters, start=1)}
    days = F.unix_date(F.concat_ws("-", _year(known), _month(known), known["d"]).try_cast("date"))
    matches = F.size(parts) == len(letters) + 1
    return F.when(matches, days.cast("long") * 86_400 + _of_day(known) - _offset(known))


def _pattern(form: str) -> tuple[str, Sequence[str]]:
    """A regular expression of a form, and the letters of its groups."""
    found, letters = "", []
    pieces = re.split(r"%(.)", form)
    for literal, letter in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        found += re.sub(r" +", " +", re.sub(r"([^A-Za-z0-9 ])", r"\\\1", literal))
        found += _PARTS.get(letter, "")
        letters += [letter] if letter in _PARTS and letter != "f" else []
    return found, letters


def _whole(known: dict[str, Column], letter: str) -> Column:
    """A part as a number; 0 where it is not there."""
    return F.coalesce(known[letter].try_cast("int"), F.lit(0)) if letter in known else F.lit(0)


def _year(known: dict[str, Column]) -> Column:
    if "Y" in known:
        return known["Y"]
    short = _whole(known, "y")
    return (short + F.when(short < 69, 2000).otherwise(1900)).cast("string")


def _month(known: dict[str, Column]) -> Column:
    if "m" in known:
        return known["m"]
    name = F.lower(F.left(known["b" if "b" in known else "B"], F.lit(3)))
    place = F.call_function("instr", F.lit(_MONTHS), name)
    return F.when(place % 3 == 1, ((place + 2) / 3).cast("int").cast("string"))


def _of_day(known: dict[str, Column]) -> Column:
    """Seconds since midnight; null where there are not so many in a day."""
    hour, minute, second = _whole(known, "H"), _whole(known, "M"), _whole(known, "S")
    if "I" in known:
        late = F.lower(F.left(known["p"], F.lit(1))) == "p" if "p" in known else F.lit(False)
        hour = _whole(known, "I") % 12 + F.when(late, 12).otherwise(0)
    return F.when((hour < 24) & (minute < 60) & (second <= 60), hour * 3600 + minute * 60 + second)


def _offset(known: dict[str, Column]) -> Column:
    """Of the zone, in seconds east of UTC."""
    if "z" not in known:
        return F.lit(0)
    digits = F.regexp_replace(known["z"], "[^0-9]", "")
    hours = F.coalesce(F.left(digits, F.lit(2)).try_cast("int"), F.lit(0))
    minutes = F.coalesce(F.substring(digits, 3, 2).try_cast("int"), F.lit(0))
    sign = F.when(F.startswith(known["z"], F.lit("-")), -1).otherwise(1)
    return sign * (hours * 3600 + minutes * 60)
