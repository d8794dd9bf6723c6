"""The page of YAML that describes a log, with its guesses marked as guesses. No Spark here."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tandem.errors import UserError
from tandem.parameters import TablesParameters
from tandem.sources.schema import Side
from tandem.sources.table_folders import files_of_table
from tandem.sources.tables.facts import facts_of
from tandem.sources.tables.files import locate_tables
from tandem.sources.tables.guesses import Feature, LogGuess, Role, SideGuess, Table, guess
from tandem.sources.tables.samples import Sample, sample
from tandem.storage.filesystems import is_folder
from tandem.storage.locations import Location, RemotePath

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_TAKEN = {"user_id", "item_id", "key", "title"}


def describe(places: Sequence[Location]) -> str:
    """A page of YAML for the files and folders, which runs as it is, or after what its comments ask for.

    Raises:
        UserError: a file is missing, broken or empty; no table could be that of the interactions.
    """
    wanted = [one.absolute() for place in places for one in _tables_in(place.absolute())]
    tables = [_looked_at(place) for place in wanted]
    found = guess(tables)
    folder = _common_folder([table.sample.place for table in tables])
    page = "\n".join([*_introduction(tables), *_page(folder, found)]) + "\n"
    # What a run would say of it is said now.
    locate_tables(TablesParameters.model_validate(yaml.safe_load(page)["tables"]))
    return page


def _looked_at(place: Location) -> Table:
    found = sample(place)
    return Table(found, {name: facts_of(name, values) for name, values in found.columns.items()})


def _tables_in(place: Location) -> list[Location]:
    """Itself; of a folder in which files with other columns lie side by side, each of these."""
    if not is_folder(place):
        return [place]
    lying = files_of_table(place).files
    start = len(str(place)) + 1
    first_parts = sorted({str(path)[start:].partition("/")[0] for path in lying})
    parted = any("=" in part for part in first_parts)
    if parted or all(re.match(r"part-|\d+[_.]", part) for part in first_parts):
        return [place]
    if len(first_parts) == 1 and not is_folder(place / first_parts[0]):
        return [place / first_parts[0]]
    entries = [place / part for part in first_parts]
    columns = {tuple(sorted(sample(entry, 100).columns)) for entry in entries}
    named_by_part = any(re.match("train", part) for part in first_parts)
    return [place] if len(columns) == 1 and not named_by_part else entries


def _common_folder(places: Sequence[Location]) -> str:
    parents = [str(place).rpartition("/")[0] for place in places]
    folder = parents[0]
    while any(f"{parent}/".find(f"{folder}/") != 0 for parent in parents):
        folder = folder.rpartition("/")[0]
    if isinstance(places[0], RemotePath) and folder.count("/") < 3 and not folder.rpartition("://")[2]:
        raise UserError(f"{places[0]} and {places[-1]} are in different buckets; a log lies in one")
    return folder or "/"


def _introduction(tables: Sequence[Table]) -> Iterator[str]:
    yield "# Written by tandem describe from the files themselves. What it says is a guess where a comment says so;"
    yield "# docs/own_tables.md has all that can be said here. Then: kedro run --tags ncf"
    for table in tables:
        found = table.sample
        count = (
            f"{found.rows:,} rows" if found.is_whole or found.form == "parquet" else f"more than {found.rows:,} rows"
        )
        yield f"#\n# {_shown(table.name)}: {count}, {_form(found)}"
        for facts in table.facts.values():
            more = f", {facts.empty:,} empty" if facts.empty else ""
            example = next(iter(facts.texts), "")
            shape = found.types.get(facts.name) or facts.shape
            yield _line(f"#   {_shown(facts.name)}: {shape}, {facts.distinct:,} different{more}, as {_shown(example)}")


def _line(text: str) -> str:
    return text if len(text) <= 140 else text[:137] + "..."


def _shown(text: str) -> str:
    """In a comment: without what ends its line."""
    return json.dumps(text[:60], ensure_ascii=False)[1:-1].replace("\u2028", " ").replace("\u2029", " ")


def _form(found: Sample) -> str:
    if found.text is None:
        return "Parquet"
    if found.form == "json":
        return f"JSON lines in {found.text.encoding}"
    return f"CSV in {found.text.encoding}, {json.dumps(found.text.separator)} between columns"


def _page(folder: str, found: LogGuess) -> Iterator[str]:
    yield "data: tables"
    yield "tables:"
    yield f"  path: {_scalar(folder)}"
    yield "  interactions:"
    yield from _log(folder, found)
    for side, guessed in found.sides.items():
        yield f"  {side}:"
        yield from _side(folder, side, guessed)
    for table in found.unused:
        yield f"  # not used: {_shown(table.name)}, whose rows no column of the interactions names"


def _log(folder: str, found: LogGuess) -> Iterator[str]:
    for part, table in found.parts.items():
        yield f"    {part or 'file'}: {_scalar(_below(folder, table))}"
    yield from _text_options(next(iter(found.parts.values())))
    roles = (("user", found.user), ("item", found.item), ("time", found.time), ("weight", found.weight))
    for name, role in (*roles, ("label", found.label), ("split", found.split)):
        yield from _role(name, role)
        if name == "time" and found.time_format is not None:
            yield f"    time_format: {_scalar(found.time_format)}"
    if found.time is None:
        yield "    # no column looks like a time; where there is one, add  time: COLUMN"


def _side(folder: str, side: Side, guessed: SideGuess) -> Iterator[str]:
    yield f"    file: {_scalar(_below(folder, guessed.table))}"
    yield from _text_options(guessed.table)
    yield from _role("id", guessed.id)
    yield from _role("title", guessed.title)
    if guessed.features:
        yield "    features:"
        names: set[str] = set()
        for feature in guessed.features:
            name = _feature_name(feature.column, side, names)
            names.add(name)
            yield f"      {_scalar(name)}: {_feature(name, feature)}  # {feature.comment}"
    for left in guessed.left_out:
        yield f"    # left out: {_shown(left)}"


def _role(name: str, role: Role | None) -> Iterator[str]:
    if role is not None:
        yield f"    {name}: {_scalar(role.column)}" + (f"  # {_shown(role.comment)}" if role.comment else "")


def _feature(name: str, feature: Feature) -> str:
    if name == feature.column and feature.separator == "|":
        return feature.kind
    column = f"column: {_scalar(feature.column)}, " if name != feature.column else ""
    separator = f", separator: {_scalar(feature.separator)}" if feature.separator != "|" else ""
    return f"{{{column}kind: {feature.kind}{separator}}}"


def _feature_name(column: str, side: Side, taken: set[str]) -> str:
    name = f"{side[:-1]}_{column}" if column in _TAKEN else column
    return name if name not in taken else f"{name}_2"


def _text_options(table: Table) -> Iterator[str]:
    text = table.sample.text
    if text is None:
        return
    if text.form == "csv":
        if not text.header:
            names = ", ".join(_scalar(name) for name in text.names)
            yield f"    columns: [{names}]  # check: the first row has no names; give each a better one, here and below"
        if text.separator != ",":
            yield f"    separator: {json.dumps(text.separator)}"
        if any(facts.decimal == "," for facts in table.facts.values()):
            yield '    decimal: ","  # guess: before fractions'
    if text.encoding not in ("utf-8", "utf-8-sig"):
        yield f"    encoding: {text.encoding}  # guess: by its first bytes"


def _below(folder: str, table: Table) -> str:
    return str(table.sample.place)[len(folder) :].strip("/")


def _scalar(value: Any) -> str:
    """In YAML: as it is where that is plain, else in double quotes, which escape as JSON does."""
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\x7f", "\\x7f")


def write_page(page: str, out: Path, *, force: bool) -> None:
    """Write it beside its place and rename it. Raises UserError where a file is there that must not be replaced."""
    from tandem.sources.staging import staged_file

    if out.exists() and not force:
        raise UserError(f"{out} is there already; name another file, or add --force to replace it")
    with staged_file(out) as staging:
        staging.write_text(page, encoding="utf-8")
