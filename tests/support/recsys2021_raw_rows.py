"""Small raw rows of the RecSys Challenge 2021 for tests, as Arrow tables and as raw text."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.sources.recsys2021_format import NAMES, RAW_COLUMNS, SEPARATOR

TYPES = {
    "text": pa.string(),
    "count": pa.int64(),
    "time": pa.int64(),
    "engagement": pa.int64(),
    "flag": pa.bool_(),
    "flag text": pa.string(),
}
VALUES: dict[str, Any] = {
    "text": "A",
    "count": 7,
    "time": 1_612_396_800,
    "engagement": None,
    "flag": False,
    "flag text": "true",
}


def row(**changes: Any) -> dict[str, Any]:
    """One valid row, with these values in place of its own."""
    values = {column.name: VALUES[column.kind] for column in RAW_COLUMNS}
    assert changes.keys() <= values.keys()
    return values | changes


def table(*rows: dict[str, Any], types: dict[str, pa.DataType] | None = None) -> pa.Table:
    """The rows; ``types`` by column where they differ from the usual ones."""
    schema = pa.schema([(column.name, (types or {}).get(column.name, TYPES[column.kind])) for column in RAW_COLUMNS])
    return pa.Table.from_pylist(list(rows), schema=schema)


def line(**changes: Any) -> str:
    """One raw line, without its end."""
    texts = ("" if value is None else value for value in row(**changes).values())
    return SEPARATOR.join(str(text).lower() if isinstance(text, bool) else str(text) for text in texts)


def write_halves(folder: Path, train: pa.Table | str, test: pa.Table | str | None = None) -> Path:
    """``train/part-00000…`` and ``test/…`` from tables (Parquet) or texts (raw); both halves alike by default."""
    for half, rows in (("train", train), ("test", train if test is None else test)):
        (folder / half).mkdir(parents=True)
        if isinstance(rows, str):
            (folder / half / "part-00000").write_text(rows, encoding="utf-8")
        else:
            pq.write_table(rows, folder / half / "part-00000.snappy.parquet")
    return folder


__all__ = ["NAMES", "line", "row", "table", "write_halves"]
