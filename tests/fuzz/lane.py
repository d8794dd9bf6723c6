"""One log through the reader, and what is to be said of it beside the judge's verdict."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from fuzz.judge import KEYS, Fault, Row, Verdict, exactly, judge
from fuzz.judge_recsys2021 import judge_recsys2021
from fuzz.judge_values import KINDS
from fuzz.odd_files import write_log
from fuzz.odd_recsys2021 import write_recsys2021
from tandem.cli.one_line import user_line
from tandem.parameters import TablesParameters
from tandem.sources.recsys2021 import read_recsys2021
from tandem.sources.tables import read_tables

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
        tables = read(spark, folder)
    except Exception as error:  # whatever comes: that is the question
        line = user_line(error)
        if line is None:
            return "traceback", f"{type(error).__name__}: {' '.join(str(error).split())[:200]} {_cause(error)}"
        return refusal(line, [fault for verdict in verdicts for fault in verdict.faults])
    wrongs = [acceptance(verdict, tables) for verdict in verdicts]
    return "accepted", wrongs[0] if all(wrongs) else None


def _read_log(spark: SparkSession, folder: Path) -> Tables:
    """The tables, and how many rows each was read of; what is not there stands for nothing."""
    try:
        raw = read_tables(spark, described(folder))
        names = {"interactions": {"rating": "weight"}, "users": {}, "items": {}}
        found = dict(zip(KINDS, (raw.interactions, raw.users, raw.items), strict=True))
        tables = {name: _collected(_in_order(table, name, names[name])) for name, table in found.items()}
        return tables | {"read": [(name, read.rows) for name, read in raw.read.items()]}
    finally:
        spark.catalog.clearCache()


def _in_order(table: DataFrame, name: str, spelt: dict[str, str]) -> DataFrame:
    """The columns of the judge."""
    columns = []
    for column, kind in KINDS[name].items():
        own = spelt.get(column, column)
        nothing = F.array().cast("array<string>") if kind == "texts" else F.lit(None)
        columns.append(F.col(own) if own in table.columns else nothing.alias(column))
    return table.select(*columns)


def described(folder: Path) -> TablesParameters:
    """The page for a log: each column that one of its files has."""
    log = {"file": "interactions.parquet", "user": "user_id", "item": "item_id", "time": "timestamp"}
    if "rating" in _names(folder / "interactions.parquet"):
        log["weight"] = "rating"
    page: dict[str, Any] = {"path": str(folder), "interactions": log}
    kinds = {"text": "category", "texts": "categories", "number": "number"}
    for side, key in KEYS.items():
        place = folder / f"{side}.parquet"
        if place.exists() or place.is_symlink():
            there = [column for column in KINDS[side] if column in _names(place) and column not in (key, "title")]
            page[side] = {"file": place.name, "id": key, "features": {name: kinds[KINDS[side][name]] for name in there}}
            if side == "items" and "title" in _names(place):
                page[side]["title"] = "title"
    return TablesParameters.model_validate(page)


def _files_below(place: Path) -> list[Path]:
    """Through links, as the reader goes; hidden ones are left out."""
    found = (Path(folder) / name for folder, _, names in os.walk(place, followlinks=True) for name in names)
    return [path for path in found if not re.search(r"/[._]", str(path)[len(str(place)) :])][:100]


def _names(place: Path) -> set[str]:
    found: set[str] = set()
    for path in [place] if place.is_file() else _files_below(place):
        with suppress(OSError, pa.ArrowException):
            found |= set(pq.read_schema(path).names) if pq.read_metadata(path).num_rows else set()
    return found


def _read_recsys2021(spark: SparkSession, folder: Path) -> Tables:
    raw = read_recsys2021(spark, folder, future="keep")
    return {"train": _collected(raw.train), "test": _collected(raw.test)}


def _cause(error: Exception) -> str:
    """The last of Java's causes, which mostly is the first."""
    text = f"{error} {getattr(error, '_stackTrace', '')}"
    return " ".join(re.findall(r"^Caused by: .*", text, re.MULTILINE)[-1:])


def _collected(table: Any) -> list[Row]:
    return [tuple(row) for row in table.collect()]


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
        r"found (.*?)(?: (?:s|ms|us|ns) since 1970)?(?: \(milliseconds\?[^)]*\))?(?: \(([\d,]+) such rows\))?; mend",
        line,
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


def acceptance(verdict: Verdict, tables: Tables) -> str | None:
    """What is wrong with the tables that came of a log, or None."""
    musts = [fault for fault in verdict.faults if fault.must]
    if musts:
        return f"accepted, but {musts[0].why}: {', '.join(musts[0].tells)}"
    if verdict.doubtful:
        return None
    for name, rows in expected(verdict).items():
        wrong = _difference(name, rows, tables[name]) if name in tables else None
        if wrong is not None:
            return wrong
    return None


def expected(verdict: Verdict) -> Tables:
    """The tables as they must be read, and how many rows were read of each."""
    found = dict(verdict.tables)
    if "train" in found:
        return found
    for index, name in enumerate(KEYS):
        if name not in found:
            unknown = [[] if kind == "texts" else None for kind in list(KINDS[name].values())[1:]]
            found[name] = [(value, *unknown) for value in {row[index] for row in found["interactions"]}]
    found["read"] = list(verdict.rows.items())
    return found


def _difference(name: str, right: list[Row], found: list[Row]) -> str | None:
    wanted, got = Counter(exactly(row) for row in right), Counter(exactly(row) for row in found)
    if wanted == got:
        return None
    lost, invented = list((wanted - got).elements()), list((got - wanted).elements())
    return f"{name}: {len(lost)} rows lost or changed, as {lost[:2]}; {len(invented)} are invented, as {invented[:2]}"
