"""What the documented rules say of files of the RecSys Challenge 2021 in Parquet, read by Arrow and plain Python."""

import math
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.judge import Fault, Verdict, judge_encoding, judge_name, open_file
from fuzz.judge_values import BAD
from tandem.sources.recsys2021_format import MISSPELT, NAMES, RAW_COLUMNS

_DIGITS = {"count": "[0-9]{1,18}", "time": "[0-9]{1,18}", "engagement": "[0-9]{0,18}"}
_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_KIND = {column.name: column.kind for column in RAW_COLUMNS}
# More is a number of 19 digits, which as a text is refused.
_MOST = 10**18 - 1
NUMBERS = ("count", "time", "engagement")


def judge_recsys2021(folder: Path) -> Verdict:
    """Read both halves whole; the tables are ``train`` and ``test``."""
    verdict = Verdict()
    for half in ("train", "test"):
        paths = sorted(path for path in (folder / half).iterdir() if not path.name.startswith((".", "_")))
        for path in paths:
            judge_name(verdict, path)
        opened = [(path, file) for path in paths if (file := open_file(verdict, path)) is not None]
        opened = [(path, file) for path, file in opened if file.metadata.num_rows]
        if not opened:
            verdict.fault("no rows", folder / half)
        verdict.tables[half] = [row for path, file in opened for row in _rows(verdict, path, file)]
    return verdict


def _rows(verdict: Verdict, path: Path, file: pq.ParquetFile) -> list[tuple[Any, ...]]:
    names = [MISSPELT.get(name, name) for name in file.schema_arrow.names]
    if sorted(names) != sorted(NAMES):
        verdict.fault("columns", path)
        return []
    known = len(verdict.faults)
    for name, field in zip(names, file.schema_arrow, strict=True):
        fits = _fit(_KIND[name], field.type)
        if fits != "good":
            verdict.fault("type", path, f"column {name}:", "the type ", must=fits == "bad")
        judge_encoding(verdict, path, field.name, file)
    if any(fault.must for fault in verdict.faults[known:]):
        return []
    try:
        table = file.read()
        columns = {name: column.to_pylist() for name, column in zip(names, table.columns, strict=True)}
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        verdict.fault("not intact", path)
        return []
    values = {name: [_value(_KIND[name], raw) for raw in columns[name]] for name in NAMES}
    for name, cells in values.items():
        for index, cell in enumerate(cells):
            raw = columns[name][index]
            if cell is BAD or _is_doubtful(_KIND[name], raw):
                tells = str(path), f", row {index + 1}:", f"column {name}:"
                verdict.faults.append(Fault(f"value: {_KIND[name]}", tells, cell is BAD, raw))
    return list(zip(*values.values(), strict=True))


def _fit(kind: str, type_: pa.DataType) -> str:
    inner = type_.value_type if pa.types.is_dictionary(type_) else type_
    words = inner in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
    if words or pa.types.is_null(type_) or pa.types.is_integer(type_):
        return "good"
    if (kind in NUMBERS and type_ in (pa.float32(), pa.float64())) or ("flag" in kind and pa.types.is_boolean(type_)):
        return "good"
    other_words = pa.types.is_string_view(type_) or pa.types.is_fixed_size_binary(type_)
    half = kind in NUMBERS and (pa.types.is_float16(type_) or pa.types.is_decimal(type_))
    return "either" if other_words or half else "bad"


def _value(kind: str, raw: Any) -> Any:
    if isinstance(raw, bytes):
        raw = raw.decode(errors="replace")
    if kind == "text":
        return raw if raw is None else str(raw)
    if raw is None or raw == "" or (isinstance(raw, float) and math.isnan(raw)):
        return None
    if kind in NUMBERS:
        return _number(kind, raw)
    flag = _FLAGS.get(str(raw).lower(), BAD)
    return str(flag).lower() if kind == "flag text" and flag is not BAD else flag


def _number(kind: str, raw: Any) -> Any:
    if isinstance(raw, str):
        if not re.fullmatch(_DIGITS[kind], raw):
            return BAD
        number = int(raw)
    elif not math.isfinite(raw) or raw < 0 or raw != int(raw) or raw >= 2**63:
        return BAD
    else:
        number = int(raw)
    return None if kind == "engagement" and number == 0 else number


def _is_doubtful(kind: str, raw: Any) -> bool:
    if isinstance(raw, bytes):
        return "\ufffd" in raw.decode(errors="replace")
    return kind in NUMBERS and isinstance(raw, int | float) and raw > _MOST
