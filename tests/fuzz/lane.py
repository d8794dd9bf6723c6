"""One log through the reader, and what is to be said of it beside the judge's verdict."""

import logging
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from fuzz.judge import KEYS, Fault, Row, Verdict, exactly, judge
from fuzz.judge_values import KINDS, readable
from fuzz.odd_files import write_log
from tandem.cli.one_line import user_line
from tandem.sources.interaction_tables import read_interaction_tables
from tandem.sources.interactions import clean_interactions

Tables = dict[str, list[Row]]


@dataclass(frozen=True)
class Outcome:
    """What became of a seed. fate: ``accepted``, or why it was refused; wrong: what must not be, or None."""

    seed: int
    fate: str
    wrong: str | None
    what: tuple[str, ...]
    seconds: float


def try_log(spark: SparkSession, parent: Path, seed: int) -> Outcome:
    """Write the log of a seed, judge it, and read it."""
    started = time.monotonic()
    made = write_log(parent, seed)
    verdicts = [judge(made.folder)]
    if made.damage is not None:
        damaged = made.damage()
        verdicts.append(judge(made.folder))
        verdicts[1].fault("damaged", damaged, must=False)
    fate, wrong = _tried(spark, made.folder, verdicts, seed)
    return Outcome(seed, fate, wrong, tuple(made.what), time.monotonic() - started)


def _tried(spark: SparkSession, folder: Path, verdicts: list[Verdict], seed: int) -> tuple[str, str | None]:
    try:
        with told() as messages:
            raw = read_interaction_tables(spark, folder)
            tables = {
                name: _collected(table) for name, table in zip(KINDS, (raw.ratings, raw.users, raw.items), strict=True)
            }
        cleaned, quality = clean_interactions(raw, "keep")
        tables["cleaned"] = _collected(cleaned)
        read = quality.ratings_read
    except Exception as error:  # whatever comes: that is the question
        line = user_line(error)
        if line is None:
            return "traceback", f"{type(error).__name__}: {_first_lines(error)}"
        return refusal(line, [fault for verdict in verdicts for fault in verdict.faults])
    finally:
        spark.catalog.clearCache()
    wrongs = [acceptance(verdict, tables, read, messages) for verdict in verdicts]
    return "accepted", wrongs[0] if all(wrongs) else None


def _collected(table: Any) -> list[Row]:
    return [tuple(row) for row in table.collect()]


def _first_lines(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


class told(logging.Handler):  # noqa: N801
    """The messages that are logged inside, as a list."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    def __enter__(self) -> list[str]:
        logging.getLogger("tandem").addHandler(self)
        return self.messages

    def __exit__(self, *_: object) -> None:
        logging.getLogger("tandem").removeHandler(self)


def refusal(line: str, faults: list[Fault]) -> tuple[str, str | None]:
    """Why it was refused, and None where that is so."""
    true = [fault for fault in faults if _is_told(fault, line)]
    if true:
        return true[0].why, None
    if any(fault.must for fault in faults):
        return "refused wrongly", f"refused, and in untrue words: {line}; true is {[f.tells for f in faults][:3]}"
    return "refused wrongly", f"refused, though nothing is wrong: {line}"


def _is_told(fault: Fault, line: str) -> bool:
    if not all(" ".join(part.split()) in line for part in fault.tells):
        return False
    said = re.search(r"found (.*?)(?: \(milliseconds\?\))?(?: \(([\d,]+) such rows\))?; mend", line)
    if said is None or not fault.tells[1:] or "row" not in fault.tells[1]:
        return True
    rows = int((said[2] or "1").replace(",", ""))
    return _shows(said[1], fault.value) and (rows == fault.rows or not fault.must)


def _shows(text: str, value: Any) -> bool:
    if value is None or value != value:  # noqa: PLR0124
        return text in ("nothing", "NaN")
    if isinstance(value, str | bytes | list):
        return True
    return text == str(value) or float(text.replace("Infinity", "inf")) == float(value)


def acceptance(verdict: Verdict, tables: Tables, read: int, messages: list[str]) -> str | None:
    """What is wrong with the tables that came of a log, or None."""
    musts = [fault for fault in verdict.faults if fault.must]
    if musts:
        return f"accepted, but {musts[0].why}: {', '.join(musts[0].tells)}"
    expected = _expected(verdict)
    for name, rows in expected.items():
        wrong = _difference(name, rows, tables[name])
        if wrong is not None:
            return wrong
    if read != len(expected["interactions"]):
        return f"{read} ratings are said to be read of {len(expected['interactions'])}"
    untold = {column for columns in verdict.unused.values() for column in columns if column not in " ".join(messages)}
    return f"not told as unused: {sorted(untold)}" if untold else None


def _expected(verdict: Verdict) -> Tables:
    found = dict(verdict.tables)
    for index, (name, key) in enumerate(KEYS.items()):
        if name not in found:
            unknown = [[] if kind == "texts" else None for kind in list(KINDS[name].values())[1:]]
            found[name] = [(value, *unknown) for value in {row[index] for row in found["interactions"]}]
        assert key in KINDS[name]
    latest: dict[tuple[int, int], tuple[int, float]] = {}
    for user, item, rating, seconds in found["interactions"]:
        latest[user, item] = max(latest.get((user, item), (-1, 0.0)), (seconds, rating))
    found["cleaned"] = [(*pair, rating + 0.0, seconds) for pair, (seconds, rating) in latest.items()]
    return found


def _difference(name: str, expected: list[Row], found: list[Row]) -> str | None:
    if name == "cleaned":  # of two zeros either may be the higher one
        found = [(*row[:2], row[2] + 0.0, row[3]) for row in found]
    wanted, got = Counter(_comparable(row) for row in expected), Counter(_comparable(row) for row in found)
    if wanted == got:
        return None
    lost, invented = list((wanted - got).elements()), list((got - wanted).elements())
    return f"{name}: {len(lost)} rows lost or changed, as {lost[:2]}; {len(invented)} are invented, as {invented[:2]}"


def _comparable(row: Row) -> Row:
    return exactly(tuple(_marked(value) for value in row))


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    return [readable(text) for text in value] if isinstance(value, list) else value
