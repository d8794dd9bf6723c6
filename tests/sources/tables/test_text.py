"""CSV and JSON lines of one's own: their rows whatever their form, and one line where that cannot be."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from tandem.errors import UserError
from tandem.parameters import TablesParameters
from tandem.sources.schema import InteractionTables
from tandem.sources.tables import locate_tables, read_tables

ROWS = [("C;1", 'say "é"', "01.02.2025 10:30", "1,5"), ("C;2", "line\nbreak", "13.02.2025 00:00", "2")]
LOG = {"file": "log.csv", "user": "user", "item": "item"}


def tables(folder: Path, **interactions: Any) -> TablesParameters:
    sides = {side: interactions.pop(side) for side in ("users", "items") if side in interactions}
    return TablesParameters.model_validate({"path": str(folder), "interactions": LOG | interactions, **sides})


def in_keys(raw: InteractionTables) -> list[tuple[Any, ...]]:
    """The interactions with their users and items as the log calls them."""
    users = {row["user_id"]: row["key"] or row["user_id"] for row in raw.users.collect()}
    items = {row["item_id"]: row["key"] or row["item_id"] for row in raw.items.collect()}
    found = (tuple(row) for row in raw.interactions.collect())
    return sorted((users[user], items[item], *others) for user, item, *others in found)


def written(separator: str, end: str, quote: str = '"') -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quotechar=quote, quoting=csv.QUOTE_ALL)
    writer.writerows([("user", "item", "when", "qty"), *ROWS])
    return text.getvalue()


def test_csv_in_any_form_gives_its_rows(spark: SparkSession, tmp_path: Path) -> None:
    forms = [
        (written(";", "\r\n").encode("utf-8-sig"), {}),
        (written(",", "\n").encode("utf-16"), {}),
        (written("\t", "\r").encode("cp1252"), {}),
        (gzip.compress(written("|", "\n", "'").encode("latin-1")), {"encoding": "latin-1", "quote": "'"}),
        (pa.Codec("zstd").compress(written(",", "\r\n").encode(), asbytes=True), {"separator": ","}),
    ]
    given = {"time": "when", "time_format": "%d.%m.%Y %H:%M", "weight": "qty", "decimal": ","}
    right = [
        ("C;1", 'say "é"', 1.5, 1738405800, 1, None),
        ("C;2", "line\nbreak", 2.0, 1739404800, 1, None),
    ]
    for index, (content, options) in enumerate(forms):
        folder = tmp_path / f"day {index}+ü%20"
        folder.mkdir()
        (folder / "log.csv").write_bytes(content)
        raw = read_tables(spark, tables(folder, **given, **options))
        assert in_keys(raw) == right, index


def test_json_lines_with_objects_lists_and_gaps(spark: SparkSession, tmp_path: Path) -> None:
    log = [
        {"user": {"id": "007"}, "item": 5, "at": 1_700_000_000_123, "clicked": True},
        {"user": {"id": "8"}, "item": 6, "at": 1_700_000_001_000, "clicked": False, "more": [1, {"a": None}]},
    ]
    items = [
        {"id": 5, "title": "One\u2028two", "price": 1.25, "tags": ["a", 3, None, ""], "in": {"stock": True}},
        {"id": 6, "price": None},
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in log]
    (tmp_path / "log.csv").write_text("\n\n".join(lines) + "\r\n", encoding="utf-8")
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in items))
    features = {
        "price": "number",
        "tags": "categories",
        "stock": {"column": "in.stock", "kind": "category", "min_count": 2},
    }
    given = {"user": "user.id", "time": "at", "time_format": "ms", "label": "clicked"}
    side = {"file": "items.jsonl", "id": "id", "title": "title", "features": features}
    raw = read_tables(spark, tables(tmp_path, **given, items=side))
    assert in_keys(raw) == [("007", 5, 1.0, 1_700_000_000, 1, None), ("8", 6, 1.0, 1_700_000_001, 0, None)]
    assert sorted(tuple(row) for row in raw.items.collect()) == [
        (5, None, "One\u2028two", 1.25, ["a", "3"], "true"),
        (6, None, None, None, [], None),
    ]
    assert (raw.schema.user_ids, raw.schema.item_ids, raw.schema.has_label) == ("text", "whole", True)
    assert [(one.name, one.kind, one.min_count) for one in raw.schema.item_attributes][2] == ("stock", "category", 2)


def test_times_and_labels_as_people_write_them(spark: SparkSession, tmp_path: Path) -> None:
    forms = {
        None: {"2025-03-01": 1740787200, "2025-03-01T01:00:00+02:00": 1740783600, "1740787200": 1740787200},
        "iso": {"2025-03-01 12:30": 1740832200, "2025-03-01T12:30:05.999Z": 1740832205},
        "%m/%d/%y %I:%M %p": {"3/1/25 12:05 AM": 1740787500, "03/01/25 1:00 pm": 1740834000},
        "%d-%b-%Y": {"01-Mar-2025": 1740787200, "1-march-2025": 1740787200},
        "%Y%m%dT%H%M%S%z": {"20250301T000000+0100": 1740783600},
        "ms": {"1740787200999": 1740787200, "1740787200999.5": 1740787200},
    }
    for index, (form, texts) in enumerate(forms.items()):
        folder = tmp_path / str(index)
        folder.mkdir()
        rows = [f"u{at}\t1\t{text}\t{'yes' if at else '0'}" for at, text in enumerate(texts)]
        (folder / "log.csv").write_text("\n".join(["user\titem\tat\tliked", *rows]))
        raw = read_tables(spark, tables(folder, time="at", time_format=form, label="liked"))
        found = [(row[3], row[4]) for row in in_keys(raw)]
        assert found == [(seconds, int(at > 0)) for at, seconds in enumerate(texts.values())], form


def test_a_given_split_is_a_column_or_files_of_its_own(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,part,score\n1,2,Training,3\n1,3,dev,4\n1,4,test,5\n")
    raw = read_tables(spark, tables(tmp_path, split="part", label="score", threshold=4))
    assert [row[4:] for row in in_keys(raw)] == [(0, "train"), (1, "validation"), (1, "test")]
    (tmp_path / "a.csv").write_text("1::2\n1::3\n")
    (tmp_path / "b.csv").write_text("1::4\n")
    given = {"file": None, "train": "a.csv", "test": "b.csv", "columns": ["user", "item"]}
    raw = read_tables(spark, tables(tmp_path, **given))
    assert [(row[1], row[5]) for row in in_keys(raw)] == [(2, "train"), (3, "train"), (4, "test")]
    assert raw.schema.has_split
    assert raw.read["interactions"].files == 2


@pytest.mark.parametrize(
    ("content", "given", "line"),
    [
        (b"user,item\n1,2\n1\n", {}, ", row 3: expected 2 columns separated by ',', found 1; mend or remove it"),
        (b'user,item\n1,2\n1,"2\n3,4\n', {}, ", row 3: a quote that opens a field here is never closed; double it"),
        (b'user,item\n1,"a"b\n', {}, ", row 2: text stands behind the closing quote of a field; double quotes"),
        (
            b'user,item\n"a\nb",2\n3,\n4,\n',
            {},
            ", row 4: column item: expected a whole number or a text, found nothing (2 such rows); mend or remove it",
        ),
        (
            b"user,item\n1,2\n" + b"\xe9,3\n",
            {"encoding": "utf-8"},
            ", row 3: column user: expected text in utf-8, found \"b'\\\\xe9'\"; set encoding; mend or remove it",
        ),
        (
            b"user,item,w\n1,2,3\n1,3,1.234,5\n",
            {"weight": "w"},
            ", row 3: expected 3 columns separated by ',', found 4; mend or remove it",
        ),
        (
            b"user;item;w\n1;2;NA\n1;3;1,5\n",
            {"weight": "w", "decimal": ",", "empty": ["x"]},
            ", row 2: column w: expected a number, found 'NA'; mend or remove it",
        ),
        (
            b"user,item,t\n1,2,31.02.2025\n",
            {"time": "t", "time_format": "%d.%m.%Y"},
            ", row 2: column t: expected a time as in %d.%m.%Y, found '31.02.2025'; mend or remove it",
        ),
        (
            b"user,item,s\n1,2,holdout\n",
            {"split": "s"},
            ", row 2: column s: expected train, validation or test, found 'holdout'; mend or remove it",
        ),
        (
            b'{"user": 1, "item": 2}\n{"user": 1, "item": [2]}\n{"user"\n',
            {},
            ", row 2: column item: expected one value, found a list (2 such rows); mend or remove it",
        ),
        (b'{"user": 1, "item": 2}\n[1]\n', {}, ", row 2: expected an object in JSON, found [1]; mend or remove it"),
        (gzip.compress(b"user,item\n" + b"1,2\n" * 9)[:-9], {}, " is not intact (Compressed file ended before"),
        (b"PK\x03\x04zip", {}, " is a zip by its first bytes, which is not read; decompress it"),
        (b'[{"user": 1}]', {}, " is one JSON array; write JSON lines, an object a line"),
        (b"usr,item\n1,2\n", {}, ", row 1: column user is missing; did you mean usr?"),
        (b"user item\n1 2\n", {"separator": ","}, ", row 1: column user is missing: found one column, "),
        (b'{"item": 2, "users": 1}\n', {}, ": column user is missing; did you mean users?"),
        (b"user,item,user\n1,2,3\n", {}, ", row 1: column user stands there twice; rename one of them"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(
    spark: SparkSession, tmp_path: Path, content: bytes, given: dict[str, Any], line: str
) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_tables(spark, tables(tmp_path, **given))
    assert str(raised.value).startswith(f"{tmp_path}/log.csv{line}")


def test_a_column_of_a_wrong_name_is_told_before_spark_starts(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    with pytest.raises(UserError, match=r"log.csv, row 1: column when is missing; known are item, user$"):
        locate_tables(tables(tmp_path, time="when"))
    (tmp_path / "log.csv").write_text("\ufeff\n")
    with pytest.raises(UserError, match=r"log.csv has no rows; name the file or folder of the interactions$"):
        locate_tables(tables(tmp_path))
