"""tandem describe: what the page says of files, and that it runs as it is."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from tandem.cli import cli
from tandem.errors import UserError
from tandem.parameters import DataParameters
from tandem.sources.tables import locate_tables
from tandem.sources.tables.facts import facts_of
from tandem.sources.tables.page import describe


def page_of(*places: Path) -> tuple[dict[str, Any], str]:
    page = describe(places)
    parameters = DataParameters.model_validate(yaml.safe_load(page))
    assert parameters.data == "tables"
    assert parameters.tables is not None
    locate_tables(parameters.tables)
    return parameters.tables.model_dump(exclude_defaults=True), page


def shop(folder: Path) -> Path:
    folder.mkdir()
    orders = [f"{1 + day % 28:02d}.03.2025 10:00;C{day % 7:03d};{day % 5:04d};{day % 3},50" for day in range(60)]
    (folder / "orders.csv").write_text("\n".join(["Date;Customer;Article;Amount", *orders]))
    articles = [
        f'{item:04d};"Thing; {item}";{"red" if item % 2 else "blue"};a|{"b" if item % 2 else "c"};u{item}'
        for item in range(5)
    ]
    (folder / "articles.csv").write_text("\n".join(['Article;Name;Color;Tags;"on: off"', *articles]), "cp1252")
    return folder


def test_a_folder_of_csv_becomes_a_log_with_its_items(tmp_path: Path) -> None:
    found, page = page_of(shop(tmp_path / "my shop"))
    assert found == {
        "path": str(tmp_path / "my shop"),
        "interactions": {
            "file": "orders.csv",
            "separator": ";",
            "decimal": ",",
            "user": "Customer",
            "item": "Article",
            "time": "Date",
            "time_format": "%d.%m.%Y %H:%M",
            "weight": "Amount",
        },
        "items": {
            "file": "articles.csv",
            "separator": ";",
            "id": "Article",
            "title": "Name",
            "features": {
                "Color": {"kind": "category"},
                "Tags": {"kind": "categories"},
                "on: off": {"kind": "category"},
            },
        },
    }
    assert "# guess: 7 different values" in page
    assert page == describe([tmp_path / "my shop"]), "the same files give the same page"


def test_json_lines_and_both_sides(tmp_path: Path) -> None:
    events = [
        {"ts": 1_700_000_000_000 + at, "user": {"id": f"u{at % 9}"}, "doc": at % 4, "clicked": at % 3 == 0}
        for at in range(50)
    ]
    people = [{"id": f"u{at}", "age": None if at else 3.5, "title": "Dr"} for at in range(9)]
    docs = [{"doc": at, "headline": f"h{at}", "topics": ["x", "y"], "vector": [0.5]} for at in range(4)]
    for name, rows in {"events": events, "people": people, "docs": docs}.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found, page = page_of(*(tmp_path / f"{name}.jsonl" for name in ("docs", "people", "events")))
    assert found["interactions"] == {
        "file": "events.jsonl",
        "user": "user.id",
        "item": "doc",
        "time": "ts",
        "time_format": "ms",
        "label": "clicked",
    }
    assert found["users"]["features"]["user_title"] == {"kind": "category", "column": "title"}
    assert found["items"]["title"] == "headline"
    assert found["items"]["features"] == {"topics": {"kind": "categories"}}
    assert "# left out: vector (a list of numbers)" in page


def test_partitions_of_parquet_are_one_table(tmp_path: Path) -> None:
    for day in (1, 2):
        place = tmp_path / "log" / f"day=2025-03-0{day}"
        place.mkdir(parents=True)
        when = pa.array([dt.datetime(2025, 3, day)] * 4, pa.timestamp("ns"))
        log = pa.table({"member": ["a", "b", "a", "b"], "sku": [1, 2, 2, 1], "at": when})
        pq.write_table(log, place / "part-0.parquet")
    found, _ = page_of(tmp_path / "log")
    assert found["interactions"] == {"file": "log", "user": "member", "item": "sku", "time": "at"}


def test_files_called_train_and_test_are_a_given_split(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.tsv").write_text("user\titem\trating\n1\t2\t3\n2\t2\t5\n")
    found, _ = page_of(tmp_path)
    assert found["interactions"] == {
        "train": "train.tsv",
        "test": "test.tsv",
        "separator": "\t",
        "user": "user",
        "item": "item",
        "weight": "rating",
    }


def test_a_file_without_names_asks_for_them(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("".join(f"{at % 9}::{at % 5}::{at % 3}::{881250949 + at}\n" for at in range(40)))
    found, page = page_of(tmp_path / "u.data")
    log = found["interactions"]
    assert (log["separator"], log["columns"]) == ("::", ("column_1", "column_2", "column_3", "column_4"))
    assert (log["user"], log["item"], log["weight"], log["time"]) == ("column_1", "column_2", "column_3", "column_4")
    assert "check: the first row has no names" in page


@pytest.mark.parametrize(
    ("values", "shape", "form", "doubt"),
    [
        (["13/04/2025", "01/02/2025"], "time", "%d/%m/%Y", False),
        (["04/13/25 1:05 PM", "01/02/25 2:00 AM"], "time", "%m/%d/%y %I:%M %p", False),
        (["01.02.2025", "03.02.2025"], "time", "%d.%m.%Y", True),
        (["2025/02/01 10:00:01"], "time", "%Y/%m/%d %H:%M:%S", False),
        (["2025-02-01T10:00:00Z"], "time", None, False),
        (["0001", "0002"], "text", None, False),
        (["1", "-2", None], "whole", None, False),
        (["1.5", "2e3", ""], "number", None, False),
        ([True, False], "true or false", None, False),
        (["1.2.3", "x"], "text", None, False),
        ([None, ""], "nothing", None, False),
    ],
)
def test_what_values_look_like(values: list[Any], shape: str, form: str | None, doubt: bool) -> None:
    found = facts_of("x", values)
    assert (found.shape, found.time_format, found.doubt is not None) == (shape, form, doubt)


def test_the_command_writes_the_page_and_replaces_none(tmp_path: Path) -> None:
    out, files = tmp_path / "conf" / "tables.yml", str(shop(tmp_path / "shop"))
    out.parent.mkdir()
    said = CliRunner().invoke(cli, ["describe", files, "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert out.read_text() == CliRunner().invoke(cli, ["describe", files]).output
    out.write_text("mine")
    said = CliRunner().invoke(cli, ["describe", files, "--out", str(out)])
    assert (said.exit_code, out.read_text()) == (1, "mine")
    assert f"{out} is there already; name another file, or add --force to replace it" in said.output
    assert CliRunner().invoke(cli, ["describe", files, "--out", str(out), "--force"]).exit_code == 0
    assert out.read_text().startswith("# Written by tandem describe")


def test_what_cannot_be_described_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("id,text\n1,a\n1,b\n")
    with pytest.raises(UserError, match=r"^.*/nowhere.csv is missing, or has nothing in it; name a file or a folder"):
        describe([tmp_path / "nowhere.csv"])
    (tmp_path / "prices.csv").write_text("price,when\n1.5,2025-03-01\n")
    with pytest.raises(UserError, match=r"prices.csv: no column could be the id of the user; found are price, when$"):
        describe([tmp_path / "prices.csv"])
