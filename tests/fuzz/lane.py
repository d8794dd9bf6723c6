"""One log through the reader, and what is to be said of it beside the judge's verdict."""

import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from fuzz.judge import KEYS, Fault, Row, Verdict, exactly, judge
from fuzz.judge_recsys2021 import judge_recsys2021
from fuzz.judge_values import KINDS
from fuzz.odd_files import write_log
from fuzz.odd_recsys2021 import write_recsys2021
from tandem.cli.one_line import user_line
from tandem.sources.interaction_tables import read_interaction_tables
from tandem.sources.interactions import clean_interactions
from tandem.sources.recsys2021 import read_recsys2021

Tables = dict[str, list[Row]]


@dataclass(frozen=True)
class Outcome:
    """What became of a seed. fate: ``accepted``, or why it was refused; wrong: what must not be, or None."""

    seed: int
    fate: str
    wrong: str | None
    what: tuple[str, ...]
    seconds: float


def try_seed(spark: SparkSession, parent: Path, seed: int) -> Outcome:
    """Write the data of a seed, judge them, and read them. Each eighth is of the RecSys Challenge 2021."""
    started = time.monotonic()
    is_log = seed % 8 != 7
    write, judged = (write_log, judge) if is_log else (write_recsys2021, judge_recsys2021)
    made = write(parent, seed)
    verdicts = [judged(made.folder)]
    if made.damage is not None:
        damaged = made.damage()
        verdicts.append(judged(made.folder))
        verdicts[1].fault("damaged", damaged, must=False)
    # To compile a plan takes longer than these rows: four of five logs do without.
    compiled = seed % 5 == 0
    spark.conf.set("spark.sql.codegen.wholeStage", str(compiled).lower())
    spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK" if compiled else "NO_CODEGEN")
    fate, wrong = _tried(_read_log if is_log else _read_recsys2021, spark, made.folder, verdicts)
    return Outcome(seed, fate, wrong, tuple(made.what), time.monotonic() - started)


def _tried(
    read: Callable[[SparkSession, Path], Tables], spark: SparkSession, folder: Path, verdicts: list[Verdict]
) -> tuple[str, str | None]:
    try:
        with told() as messages:
            tables = read(spark, folder)
    except Exception as error:  # whatever comes: that is the question
        line = user_line(error)
        if line is None:
            return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:200]} {_cause(error)}"
        return refusal(line, [fault for verdict in verdicts for fault in verdict.faults])
    wrongs = [acceptance(verdict, tables, messages) for verdict in verdicts]
    return "accepted", wrongs[0] if all(wrongs) else None


def _read_log(spark: SparkSession, folder: Path) -> Tables:
    """The tables; of a third of all logs also what takes the place of those that are not there, and what is kept."""
    raw = read_interaction_tables(spark, folder)
    found = dict(zip(KINDS, (raw.ratings, raw.users, raw.items), strict=True))
    # By the number of files, which a log keeps when it is tried again.
    whole = len(list(folder.parent.rglob("*"))) % 3 == 0
    tables = {
        name: _collected(table) for name, table in found.items() if whole or (folder / f"{name}.parquet").exists()
    }
    if not whole:
        return tables
    try:
        cleaned, quality = clean_interactions(raw, "keep")
        return {**tables, "cleaned": _collected(cleaned), "read": [(quality.ratings_read,)]}
    finally:
        spark.catalog.clearCache()


def _read_recsys2021(spark: SparkSession, folder: Path) -> Tables:
    raw = read_recsys2021(spark, folder, future="keep")
    return {"train": _collected(raw.train), "test": _collected(raw.test)}


def _cause(error: Exception) -> str:
    """The last of Java's causes, which mostly is the first."""
    text = f"{error} {getattr(error, '_stackTrace', '')}"
    return " ".join(re.findall(r"^Caused by: .*", text, re.MULTILINE)[-1:])


def _collected(table: Any) -> list[Row]:
    return [tuple(row) for row in table.collect()]


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
    said = re.search(
        r"found (.*?)(?: (?:s|ms|us|ns) since 1970)?(?: \(milliseconds\?\))?(?: \(([\d,]+) such rows\))?; mend", line
    )
    if said is None or not fault.tells[1:] or "row" not in fault.tells[1]:
        return True
    rows = int((said[2] or "1").replace(",", ""))
    return _shows(said[1].strip("'"), fault.value) and rows == (fault.rows or rows)


def _shows(text: str, value: Any) -> bool:
    if value is None or value != value:  # noqa: PLR0124
        return text in ("nothing", "NaN")
    if isinstance(value, str | bytes | list):
        return True
    return text == str(value) or float(text.replace("Infinity", "inf")) == float(value)


def acceptance(verdict: Verdict, tables: Tables, messages: list[str]) -> str | None:
    """What is wrong with the tables that came of a log, or None."""
    musts = [fault for fault in verdict.faults if fault.must]
    if musts:
        return f"accepted, but {musts[0].why}: {', '.join(musts[0].tells)}"
    for name, rows in expected(verdict).items():
        wrong = _difference(name, rows, tables[name]) if name in tables else None
        if wrong is not None:
            return wrong
    untold = {column for columns in verdict.unused.values() for column in columns if column not in " ".join(messages)}
    return f"not told as unused: {sorted(untold)}" if untold else None


def expected(verdict: Verdict) -> Tables:
    """The tables as they must be read, and what becomes of the ratings."""
    found = dict(verdict.tables)
    if "train" in found:
        return found
    for index, (name, key) in enumerate(KEYS.items()):
        if name not in found:
            unknown = [[] if kind == "texts" else None for kind in list(KINDS[name].values())[1:]]
            found[name] = [(value, *unknown) for value in {row[index] for row in found["interactions"]}]
        assert key in KINDS[name]
    latest: dict[tuple[int, int], tuple[int, float]] = {}
    for user, item, rating, seconds in found["interactions"]:
        latest[user, item] = max(latest.get((user, item), (-1, 0.0)), (seconds, rating))
    found["cleaned"] = [(*pair, rating + 0.0, seconds) for pair, (seconds, rating) in latest.items()]
    found["read"] = [(len(found["interactions"]),)]
    return found


def _difference(name: str, right: list[Row], found: list[Row]) -> str | None:
    if name == "cleaned":  # of two zeros either may be the higher one
        found = [(*row[:2], row[2] + 0.0, row[3]) for row in found]
    wanted, got = Counter(exactly(row) for row in right), Counter(exactly(row) for row in found)
    if wanted == got:
        return None
    lost, invented = list((wanted - got).elements()), list((got - wanted).elements())
    return f"{name}: {len(lost)} rows lost or changed, as {lost[:2]}; {len(invented)} are invented, as {invented[:2]}"
