"""Which column of which table plays which role, guessed from names and values. No Spark here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tandem.errors import UserError
from tandem.sources.schema import AttributeKind, Side
from tandem.sources.tables.facts import Facts, unit
from tandem.sources.tables.samples import Sample

_SIDES: dict[Side, str] = {
    "users": r"user|customer|client|member|reviewer|visitor|account|buyer|person|people|listener|reader|viewer|player"
    r"|patient|student|subscriber|cust|uid|kunde",
    "items": r"item|product|article|artikel|sku|movie|film|book|artist|song|track|isbn|asin|story|stories|news|hotel"
    r"|recipe|game|business|content|document|doc|goods|course|album|video|iid|ean|gtin|anime|venue|place",
}
_TIME = r"time|timestamp|date|datetime|ts|at|when|day|created|updated|unix|epoch|datum|zeit"
_WEIGHT = r"rating|ratings|stars|score|weight|qty|quantity|count|plays|playcount|listens|strength|amount|menge|hours"
_LABEL = r"label|click|clicked|clicks|is_click|target|like|liked|purchased|bought|converted|conversion|engaged"
_TITLE = r"title|name|headline|titel|label|description"
_SPLIT = {"train", "training", "validation", "valid", "val", "dev", "test", "testing"}
_FEW = 50


@dataclass(frozen=True)
class Table:
    """A sample with what its columns look like."""

    sample: Sample
    facts: dict[str, Facts]

    @property
    def name(self) -> str:
        """Of its file or folder."""
        return self.sample.place.name


@dataclass(frozen=True)
class Role:
    """A guess. comment: what it rests on, or what to check."""

    column: str
    comment: str = ""


@dataclass(frozen=True)
class Feature:
    """A guess of a feature."""

    column: str
    kind: AttributeKind
    comment: str = ""
    separator: str = "|"


@dataclass
class SideGuess:
    """What is known of users or items."""

    table: Table
    id: Role
    title: Role | None = None
    features: list[Feature] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass
class LogGuess:
    """The roles in a log. parts: the tables by the part of a given split; of the key None there is one for all."""

    parts: dict[str | None, Table]
    user: Role
    item: Role
    time: Role | None = None
    time_format: str | None = None
    weight: Role | None = None
    label: Role | None = None
    split: Role | None = None
    sides: dict[Side, SideGuess] = field(default_factory=dict)
    unused: list[Table] = field(default_factory=list)


def guess(tables: Sequence[Table]) -> LogGuess:
    """The roles of the tables that were looked at.

    Raises:
        UserError: no table has two columns that could be ids.
    """
    parts = _given_split(tables) or {None: _interactions(tables)}
    log = next(iter(parts.values()))
    others = [table for table in tables if table not in parts.values()]
    links = {table.name: link for table in others if (link := _link(log, table)) is not None}
    columns = _ids(log, others, links)
    found = LogGuess(parts, columns["users"], columns["items"])
    for table in others:
        side = next((side for side in columns if _joins(links, table, columns[side].column)), None)
        if side is None or side in found.sides:
            found.unused.append(table)
        else:
            found.sides[side] = _side(side, table, links[table.name][1])
    _roles_of_rows(found, log)
    return found


def _joins(links: Mapping[str, tuple[str, str]], table: Table, column: str) -> bool:
    return table.name in links and links[table.name][0] == column


def _words(name: str) -> list[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^A-Za-z0-9]+", spaced.lower()) if word]


def _says(pattern: str, name: str) -> bool:
    return any(re.fullmatch(f"(?:{pattern})s?", word) for word in _words(name))


def _hints(side: Side, name: str) -> bool:
    """Whether a name speaks of users or items, also inside of a word, as in ``userID`` or ``artistID``."""
    return any(re.match(f"(?:{_SIDES[side]})", word) for word in _words(name))


def _may_be_id(facts: Facts) -> bool:
    return facts.shape in ("whole", "text") and facts.separator is None and facts.empty * 20 <= facts.rows


def _given_split(tables: Sequence[Table]) -> dict[str | None, Table] | None:
    """Tables called train and test, and validation, with the same columns."""
    found: dict[str | None, Table] = {}
    for part, words in (("train", "train|training"), ("validation", "validation|valid|val|dev"), ("test", "test")):
        named = [table for table in tables if _says(words, re.sub(r"[.].*$", "", table.name))]
        if len(named) == 1:
            found[part] = named[0]
    alike = {tuple(sorted(table.facts)) for table in found.values()}
    return found if {"train", "test"} <= found.keys() and len(alike) == 1 else None


def _interactions(tables: Sequence[Table]) -> Table:
    def likeness(table: Table) -> tuple[int, int, int]:
        links = sum(_link(table, other) is not None for other in tables if other is not table)
        names = sum(any(_hints(side, name) for name in table.facts) for side in _SIDES)
        return links, names, table.sample.rows

    return max(tables, key=likeness)


def _link(log: Table, other: Table) -> tuple[str, str] | None:
    """The column of the log whose values are keys of the other table, and the column of those; None: there is none."""
    best: tuple[float, str, str] | None = None
    keys = [facts for facts in other.facts.values() if facts.is_key]
    for column in log.facts.values():
        if not _may_be_id(column) or (column.is_key and len(log.facts) > 2 and column.rows > 1_000):
            continue
        for key in keys:
            shared = len(column.texts.keys() & key.texts.keys()) / max(1, column.distinct)
            alike = (column.name == key.name) + 0.5 * bool(set(_words(column.name)) & set(_words(key.name)))
            if shared >= 0.5 and (best is None or shared + alike > best[0]):
                best = shared + alike, column.name, key.name
    return None if best is None else best[1:]


def _ids(log: Table, others: Sequence[Table], links: Mapping[str, tuple[str, str]]) -> dict[Side, Role]:
    columns = [facts for facts in log.facts.values() if _may_be_id(facts) and not _says(_TIME, facts.name)]
    plain = [facts for facts in columns if not _says(f"{_WEIGHT}|{_LABEL}", facts.name)]
    found: dict[Side, Role] = {}
    for side in _SIDES:
        scores = {facts.name: _score(side, facts.name, log, others, links) for facts in columns}
        best = max(scores, key=lambda name: scores[name], default=None)
        if best is not None and scores[best] > 0 and best not in {role.column for role in found.values()}:
            found[side] = Role(best, f"guess: {log.facts[best].distinct:,} different values")
    for side in _SIDES:
        taken = {role.column for role in found.values()}
        left = [facts for facts in (plain or columns) if facts.name not in taken]
        if side not in found and left:
            linked = {link[0] for link in links.values()}
            first = max(left, key=lambda facts: facts.name in linked)
            found[side] = Role(first.name, f"check: no name says which column the {side[:-1]} is")
    missing = [side for side in _SIDES if side not in found]
    if missing:
        raise UserError(
            f"{log.sample.place}: no column could be the id of the {missing[0][:-1]}; found are {', '.join(log.facts)}"
        )
    return found


def _score(side: Side, column: str, log: Table, others: Sequence[Table], links: Mapping[str, tuple[str, str]]) -> float:
    """How much speaks for a column being the user's or the item's, against the other."""
    other: Side = "items" if side == "users" else "users"
    score = 2.0 * (_hints(side, column) - _hints(other, column))
    for table in others:
        if _joins(links, table, column):
            score += 1.5 * (_hints(side, table.name) - _hints(other, table.name)) + 0.5
            score += 0.5 if side == "items" and any(_says(_TITLE, name) for name in table.facts) else 0.0
    return score


def _roles_of_rows(found: LogGuess, log: Table) -> None:
    taken = {found.user.column, found.item.column}
    free = [facts for facts in log.facts.values() if facts.name not in taken]
    found.split = next((Role(one.name, "guess: by its words") for one in free if _is_split(one)), None)
    if len(found.parts) > 1:
        found.split = None
    found.time, found.time_format = _time(free)
    found.label = next((Role(one.name, "guess: " + _of_label(one)) for one in free if _is_label(one)), None)
    named = [one for one in free if one.shape in ("number", "whole") and _says(_WEIGHT, one.name)]
    used = {role.column for role in (found.time, found.label, found.split) if role is not None}
    named += [one for one in free if one.shape in ("number", "whole") and _is_nameless(one)]
    named = [one for one in named if one.name not in used]
    if named:
        others = [one.name for one in free if one.shape in ("number", "whole") and one not in named]
        comment = f"guess: {_span(named[0])}" + (f"; {', '.join(others)} are numbers too" if others else "")
        gaps = f"; {named[0].empty:,} rows without one are left out" if named[0].empty else ""
        found.weight = Role(named[0].name, comment + gaps)


def _is_split(facts: Facts) -> bool:
    words = {text.lower() for text in facts.texts}
    return facts.shape == "text" and words <= _SPLIT and bool(words & {"train", "training"}) and len(words) > 1


def _is_label(facts: Facts) -> bool:
    two = facts.shape == "true or false" or (facts.shape == "whole" and set(facts.texts) <= {"0", "1"})
    return two and facts.empty == 0 and (facts.shape == "true or false" or _says(_LABEL, facts.name))


def _of_label(facts: Facts) -> str:
    ones = sum(count for text, count in facts.texts.items() if text.lower() in ("true", "1"))
    return f"true in {ones:,} of {facts.rows:,} rows"


def _time(free: Iterable[Facts]) -> tuple[Role | None, str | None]:
    found: list[tuple[int, Role, str | None]] = []
    for facts in free:
        named = _says(_TIME, facts.name)
        if facts.empty:
            continue
        if facts.shape == "time":
            doubt = f"check: {facts.doubt}" if facts.doubt else f"guess: from {min(facts.texts)}"
            found.append((2 + named + (len(min(facts.texts)) > 10), Role(facts.name, doubt), facts.time_format))
        elif (of_unit := unit(facts)) is not None and (named or of_unit != "s" or _is_nameless(facts)):
            comment = f"guess: {of_unit} since 1970, from {min(facts.texts, key=int)}"
            found.append((1 + named, Role(facts.name, comment), None if of_unit == "s" else of_unit))
    best = max(found, key=lambda one: one[0], default=None)
    return (None, None) if best is None else best[1:]


def _is_nameless(facts: Facts) -> bool:
    """Whether its file has no names."""
    return re.fullmatch(r"column_[0-9]+", facts.name) is not None


def _span(facts: Facts) -> str:
    numbers = [float(text.replace(",", ".") if facts.decimal == "," else text) for text in facts.texts]
    return f"a number from {min(numbers):g} to {max(numbers):g}"


def _side(side: Side, table: Table, key: str) -> SideGuess:
    found = SideGuess(table, Role(key, f"guess: {table.facts[key].distinct:,} different values"))
    for facts in table.facts.values():
        if facts.name == key:
            continue
        mostly_own = facts.distinct * 2 > facts.rows and facts.distinct > _FEW
        if side == "items" and found.title is None and facts.shape == "text" and _says(_TITLE, facts.name):
            found.title = Role(facts.name, "guess: by its name")
        elif (feature := _feature(facts, mostly_own)) is not None:
            found.features.append(feature)
        else:
            found.left_out.append(f"{facts.name} ({_why(facts, mostly_own)})")
    return found


def _feature(facts: Facts, mostly_own: bool) -> Feature | None:
    gaps = f", {facts.empty:,} empty" if facts.empty else ""
    if facts.shape == "list" or facts.separator is not None:
        return Feature(facts.name, "categories", f"guess: {facts.distinct:,} different{gaps}", facts.separator or "|")
    if facts.shape in ("number", "whole"):
        few = facts.shape == "whole" and facts.distinct <= 20
        code = "; category, if it is a code" if few else ""
        return Feature(facts.name, "number", f"guess: {_span(facts)}{gaps}{code}")
    if facts.shape == "true or false" or (facts.shape == "text" and not mostly_own):
        return Feature(facts.name, "category", f"guess: {facts.distinct:,} different{gaps}")
    return None


def _why(facts: Facts, mostly_own: bool) -> str:
    if mostly_own and facts.shape == "text":
        return "nearly each row has one of its own"
    return {"nothing": "no value", "numbers": "a list of numbers", "time": "a time"}.get(facts.shape, facts.shape)
