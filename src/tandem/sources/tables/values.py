"""The values of each role, of whatever type they are stored as, and what is wrong with one."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from tandem.parameters import TableParameters
from tandem.parameters.tables import InteractionsTableParameters
from tandem.sources.parquet_columns import StoredColumn
from tandem.sources.parquet_rows import LARGEST, Checked, number, seconds, text, texts, whole
from tandem.sources.tables.moments import LATEST, PER_SECOND, moment, once
from tandem.sources.tables.roles import EXPECTED, Role, RoleKind

TYPES: dict[RoleKind, str] = {
    "id": "string",
    "time": "long",
    "weight": "double",
    "label": "int",
    "split": "string",
    "text": "string",
    "category": "string",
    "categories": "array<string>",
    "number": "double",
}
# Where a row must have a value. (Rows without a weight are counted and left out.)
NEVER_NULL: frozenset[RoleKind] = frozenset({"id", "time", "label", "split"})
WHOLE = r"^(?:0|-?[1-9][0-9]{0,18})\z"
"""A text that is a whole number, and no other text of the same number."""
_NUMBER = r"^[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?\z"
_THOUSANDS = {",": r"^[+-]?[0-9]{1,3}(?:[.][0-9]{3})+,[0-9]*\z", ".": r"^[+-]?[0-9]{1,3}(?:,[0-9]{3})+[.][0-9]*\z"}
_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_SHOWN = 60


def checked(role: Role, value: Column, stored: StoredColumn, given: TableParameters) -> Checked:
    """The values of a role; given: how the table is written, and what its parameters say of time and label."""
    found = _checked(role, value, stored, given)
    if role.kind not in NEVER_NULL:
        return found
    nothing = F.when(_is_empty(value, stored), "nothing").otherwise(F.coalesce(found.shown, F.lit("nothing")))
    return Checked(found.value, found.value.isNull(), nothing)


def expected(role: Role, given: TableParameters) -> str:
    """What a value of the role should be, in words."""
    if isinstance(given, InteractionsTableParameters):
        if role.kind == "time":
            return _TIMES.get(given.time_format, f"a time as in {given.time_format}")
        if role.kind == "label" and given.threshold is not None:
            return "a number"
    return EXPECTED[role.kind]


_TIMES: dict[str | None, str] = {
    None: "whole seconds since 1970, an ISO date or a Parquet timestamp",
    "s": "seconds since 1970",
    "ms": "milliseconds since 1970",
    "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970",
    "iso": "an ISO date, as in 2025-03-01 or 2025-03-01T12:30:00+01:00",
}


def first_problem(roles: Sequence[Role], found: dict[str, Checked], given: TableParameters) -> Column:
    """What is wrong with a row, in words, by its first bad column; null where nothing is."""
    problems = []
    for role in roles:
        bad = found[role.name].bad if role.name in found else None
        if bad is not None:
            words = F.lit(f"column {role.column}: expected {expected(role, given)}, found ")
            problems.append(F.when(bad, F.concat(words, found[role.name].shown)))
    return F.coalesce(*problems) if problems else F.lit(None).cast("string")


def _checked(role: Role, value: Column, stored: StoredColumn, given: TableParameters) -> Checked:
    if role.kind == "id":
        return _id(value, stored)
    if role.kind == "time":
        return _time(value, stored, given)
    if role.kind in ("weight", "number"):
        return _number(value, stored, given.decimal)
    if role.kind == "label":
        return _label(value, stored, given)
    if role.kind == "categories":
        return _categories(value, stored, role.separator)
    return _word(role, value, stored)


def _word(role: Role, value: Column, stored: StoredColumn) -> Checked:
    if role.kind == "split":
        return _split(value)
    return text(value) if stored.read_as == "string" else _as_text(value, stored)


def _is_empty(value: Column, stored: StoredColumn) -> Column:
    return (value == "" if stored.read_as == "string" else value.isNull()) | value.isNull()


def _id(value: Column, stored: StoredColumn) -> Checked:
    if stored.read_as == "string":
        return text(value)
    found = whole(value, stored, -LARGEST - 1, LARGEST)
    return Checked(found.value.cast("string"), found.bad, found.shown)


def is_whole(id_: Column) -> Column:
    """Whether the text of an id is that of a whole number of 64 bits."""
    return id_.rlike(WHOLE) & id_.try_cast("long").isNotNull()


def _quoted(value: Column) -> Column:
    more = F.when(F.length(value) > _SHOWN, "...").otherwise("")
    return F.concat(F.lit("'"), F.left(value, F.lit(_SHOWN)), more, F.lit("'"))


def _time(value: Column, stored: StoredColumn, given: TableParameters) -> Checked:
    form = given.time_format if isinstance(given, InteractionsTableParameters) else None
    if stored.per_second is not None:
        return seconds(value, stored, LATEST)
    if stored.read_as == "date":
        found = F.unix_date(value).cast("long") * 86_400
        return Checked(F.when((found >= 0) & (found <= LATEST), found), None, value.cast("string"))
    if form is not None and form not in PER_SECOND:
        written = value if stored.read_as == "string" else _as_text(value, stored).value
        found = moment(written, form)
        return Checked(F.when((found >= 0) & (found <= LATEST), found), None, _quoted(written))
    per_second = PER_SECOND[form or "s"]
    if stored.read_as != "string":
        return _counted(value, stored, per_second)
    found = _of_text(value, per_second)
    if form is None:
        found = F.coalesce(found, moment(value, "iso"))
    found = F.when((found >= 0) & (found <= LATEST), found)
    return Checked(found, None, F.concat(_quoted(value), _hint(value.try_cast("double"), per_second)))


def _counted(value: Column, stored: StoredColumn, per_second: int) -> Checked:
    """Seconds of a number of its parts; a fraction is left out."""
    if stored.read_as == "double":
        value = F.when(~F.isnan(value), value)
    shown = F.concat(value.cast("string"), _hint(value.cast("double"), per_second))
    # As a double for the limits alone: they are far from where doubles are no whole numbers.
    inside = (value.cast("double") >= 0) & (value.cast("double") < float((LATEST + 1) * per_second))
    floor = F.floor(value).try_cast("long") if stored.read_as != "long" else value
    return Checked(F.when(inside, F.call_function("div", floor, F.lit(per_second).cast("long"))), None, shown)


def _of_text(value: Column, per_second: int) -> Column:
    digits = F.when(F.trim(value).rlike(r"^[0-9]{1,22}(?:[.][0-9]*)?\z"), F.trim(value))
    return F.call_function("div", F.substring_index(digits, ".", 1).try_cast("decimal(22,0)"), F.lit(per_second))


def _hint(value: Column, per_second: int) -> Column:
    if per_second != 1:
        return F.lit("")
    return F.when(value > LATEST, " (milliseconds? set time_format: ms)").otherwise("")


def _number(value: Column, stored: StoredColumn, decimal: str) -> Checked:
    if stored.read_as == "boolean":
        return Checked(value.cast("int").cast("double"), None, value.cast("string"))
    if stored.read_as != "string":
        return number(value, stored)
    found = once(F.trim(value), partial(_of_number, decimal=decimal))
    unknown = F.trim(value).rlike(r"^(?:[Nn][Aa][Nn])?\z")
    return Checked(found, F.coalesce(found.isNull() & ~unknown, F.lit(False)), _quoted(value))


def _of_number(plain: Column, decimal: str) -> Column:
    """A finite number that is written so; else null."""
    thousands = "." if decimal == "," else ","
    whole = F.when(plain.rlike(_THOUSANDS[decimal]), F.translate(plain, thousands, "")).otherwise(plain)
    if decimal == ",":
        whole = once(whole, lambda text: F.when(~text.contains("."), F.translate(text, ",", ".")))
    return once(whole, lambda text: once(F.when(text.rlike(_NUMBER), text.try_cast("double")), _finite))


def _finite(number: Column) -> Column:
    return F.when(F.abs(number) < float("inf"), number)


def _label(value: Column, stored: StoredColumn, given: TableParameters) -> Checked:
    threshold = given.threshold if isinstance(given, InteractionsTableParameters) else None
    if stored.read_as == "boolean" and threshold is None:
        return Checked(value.cast("int"), None, value.cast("string"))
    found = _number(value, stored, given.decimal)
    if threshold is not None:
        return Checked((found.value >= threshold).cast("int"), None, found.shown)
    plain = F.when(found.value.isin(0.0, 1.0), found.value.cast("int"))
    if stored.read_as == "string":
        word = F.lower(F.trim(value))
        plain = F.coalesce(
            F.when(word.isin("true", "yes", "t", "y"), 1).when(word.isin("false", "no", "f", "n"), 0), plain
        )
    return Checked(plain, None, found.shown)


def _split(value: Column) -> Checked:
    word = F.lower(F.trim(value))
    found = F.coalesce(*[F.when(word.isin(*words), part) for part, words in _WORDS.items()])
    return Checked(found, None, _quoted(value))


def _categories(value: Column, stored: StoredColumn, separator: str) -> Checked:
    if stored.read_as != "string":
        return texts(value)
    plain = text(value)
    parts = F.transform(F.split(plain.value, _literally(separator), -1), lambda part: F.trim(part))  # noqa: PLW0108 -- of one argument
    return Checked(texts(parts).value, plain.bad, plain.shown)


def _literally(separator: str) -> str:
    """A pattern of this text alone."""
    return "".join(f"\\x{{{ord(letter):x}}}" for letter in separator)


def _as_text(value: Column, stored: StoredColumn) -> Checked:
    """Whole numbers without a fraction, as pandas makes them of a column with gaps."""
    if stored.read_as != "double":
        return Checked(value.cast("string"), None, value.cast("string"))
    value = F.when(~F.isnan(value), value)
    is_whole_number = (F.abs(value) < 1e15) & (value % 1.0 == 0.0)
    shown = F.when(is_whole_number, F.when(is_whole_number, value).cast("long").cast("string"))
    return Checked(F.coalesce(shown, value.cast("string")), None, value.cast("string"))
