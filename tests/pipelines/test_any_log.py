"""Logs of any shape go the whole way of NCF: text ids, attributes called anything, no times, labels, a given split."""

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from logs import use_log
from projects import Project
from tandem.cli import cli
from tandem.sources.schema import Attribute, LogSchema

USERS, ITEMS = 40, 30
EVERYTHING, ONCE = 1, 2  # a user who has all items, and one with a single interaction
# Two of one name, words of ours and of PyTorch, names that are no names of columns, and a dozen more.
USER_ATTRIBUTES = (
    Attribute("country", "category"),
    Attribute("user", "category"),
    Attribute("label", "number"),
    Attribute("Größe (cm)", "number"),
    Attribute("nothing", "number"),
    Attribute("tags", "categories"),
    *(Attribute(f"more {number}", "category") for number in range(12)),
)
ITEM_ATTRIBUTES = (
    Attribute("country", "category"),
    Attribute("type", "category"),
    Attribute("item", "categories"),
    Attribute("a.b", "number"),
    Attribute("popularity", "number"),
    Attribute("only one value", "category"),
)


def user_key(user: int) -> str:
    return f"kunde {user:03d} ü"


def item_key(item: int) -> str:
    return f"00{item:02d}"


def log() -> dict[str, list[tuple[object, ...]]]:
    """Users like items of their own parity; every fifth row of a user is test, and one row in ten a view alone."""
    draw = random.Random(1)
    rows: list[tuple[object, ...]] = []
    for user in range(1, USERS + 1):
        liked = [item for item in range(1, ITEMS + 1) if item % 2 == user % 2 and draw.random() < 0.8]
        items = list(range(1, ITEMS + 1)) if user == EVERYTHING else liked[:1] if user == ONCE else liked
        for place, item in enumerate(items):
            split = "test" if place % 5 == 4 else "train"
            rows.append((user, item, 1.0, None, 1, split))
            if draw.random() < 0.1:
                rows.append((user, item % ITEMS + 1, 1.0, None, 0, "train"))
    users = []
    for user in range(1, USERS + 1):
        known = ("FI" if user % 3 else None, "x", user / 7, 150.0 + user, None, ["a", "b"][: user % 3])
        users.append((user, user_key(user), *known, *(f"{user % (number + 2)}" for number in range(12))))
    items = []
    for item in range(1, ITEMS + 1):
        known = ("SE", f"t{item % 2}", [f"p{item % 2}"], float(item), None if item % 2 else 5.0, "same")
        items.append((item, item_key(item), f"Thing {item}" if item % 4 else None, *known))
    return {"interactions": rows, "users": users, "items": items}


SCHEMA = LogSchema(
    source="test",
    user_attributes=USER_ATTRIBUTES,
    item_attributes=ITEM_ATTRIBUTES,
    user_ids="text",
    item_ids="text",
    has_time=False,
    has_label=True,
    has_split=True,
)


@pytest.fixture(scope="module")
def shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.create(tmp_path_factory.mktemp("shop") / "project")
    use_log(project, SCHEMA, **log())
    done = project.run("--params", "distributed.num_ranks=1,ncf.split=given,ncf.publish=evaluated")
    assert done.code == 0, done.err
    return project


def table(project: Project, name: str) -> list[dict[str, object]]:
    return pq.read_table(project.path(name)).to_pylist()


def test_lists_have_the_ids_of_the_log_and_titles(shop: Project) -> None:
    rows = table(shop, "data/07_model_output/ncf/recommendations.parquet")
    assert list(rows[0]) == ["user_id", "item_id", "rank", "score", "source", "title"]
    assert {row["user_id"] for row in rows} == {user_key(user) for user in range(1, USERS + 1) if user != EVERYTHING}
    titles = {item_key(item): f"Thing {item}" if item % 4 else None for item in range(1, ITEMS + 1)}
    assert all(row["title"] == titles[str(row["item_id"])] for row in rows)
    places = [(row["user_id"], row["rank"]) for row in rows]
    assert places == sorted(places)
    had = {(user_key(int(row[0])), item_key(int(row[1]))) for row in log()["interactions"] if row[4] == 1}
    assert not {(row["user_id"], row["item_id"]) for row in rows} & had


def test_rows_with_label_0_are_counted_and_are_no_positives(shop: Project) -> None:
    negatives = sum(row[4] == 0 for row in log()["interactions"])
    quality = json.loads(shop.path("data/08_reporting/interactions/data_quality.json").read_text())
    assert quality["negatives_removed"] == negatives > 0
    positives = {(row[0], row[1]) for row in log()["interactions"] if row[4] == 1}
    found = table(shop, "data/02_intermediate/interactions/interactions.parquet")
    assert {(row["user_id"], row["item_id"]) for row in found} == positives
    assert list(found[0]) == ["user_id", "item_id", "weight", "timestamp", "split"]


def test_the_given_split_is_kept_and_validation_is_drawn_from_its_training_rows(shop: Project) -> None:
    given = {(row[0], row[1]): row[5] for row in log()["interactions"] if row[4] == 1}
    rows = table(shop, "data/03_primary/ncf/interactions.parquet")
    found = {(row["user_id"], row["item_id"]): row["split"] for row in rows}
    assert {pair for pair in found if found[pair] == "test"} == {pair for pair in given if given[pair] == "test"}
    assert "validation" in found.values()


def test_each_attribute_is_learnt_under_a_name_of_its_own(shop: Project) -> None:
    spec = json.loads(shop.path("data/05_model_input/ncf/feature_spec.json").read_text())
    named = {(one["table"], one["column"]): one["name"] for one in spec["features"][2:]}
    assert len(set(named.values())) == len(USER_ATTRIBUTES) + len(ITEM_ATTRIBUTES)
    assert named["user", "country"] == "user_country"
    assert named["item", "country"] == "item_country"
    assert named["user", "Größe (cm)"] == "user_grosse_cm"
    assert named["item", "type"] == "type"
    config = json.loads(shop.path("data/06_models/ncf/config.json").read_text())
    assert config["items"]["bags"] == {"item_item": 3}
    assert config["items"]["numeric"] == ["item_a_b", "item_popularity"]
    assert config["users"]["bags"] == {"tags": 3}
    assert len(config["users"]["categorical"]) == 14


def test_the_report_says_which_split_and_how_many_were_tested(shop: Project) -> None:
    data = json.loads(shop.path("data/08_reporting/ncf/metrics.json").read_text())["data"]
    tested = sum(row[4] == 1 and row[5] == "test" for row in log()["interactions"])
    assert (data["split"], data["test_positives"], data["users"]) == ("given", tested, USERS)


def test_one_user_by_the_logs_own_id(shop: Project, tmp_path: Path) -> None:
    project = shop.copy(tmp_path / "project")
    chosen = f"ncf.recommend_users=['{user_key(5)}']"
    done = project.run("--nodes", "rank_ncf_items", "--params", f"{chosen},ncf.split=given")
    assert done.code == 0, done.err
    rows = table(project, "data/07_model_output/ncf/recommendations.parquet")
    assert {row["user_id"] for row in rows} == {user_key(5)}
    wrong = project.run("--nodes", "rank_ncf_items", "--params", "ncf.recommend_users=['kunde 005'],ncf.split=given")
    assert wrong.error.startswith("ncf.recommend_users: the log has no user 'kunde 005'; did you mean kunde 005 ü or ")


def test_the_stored_list_is_printed(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder)
    rows = [
        row
        for row in table(shop, "data/07_model_output/ncf/recommendations.parquet")
        if row["user_id"] == user_key(5) and int(str(row["rank"])) <= 3
    ]
    done = CliRunner().invoke(cli, ["recommend", "--user", user_key(5), "--top", "3", "--json"])
    assert done.exit_code == 0, done.output
    (user,) = json.loads(done.stdout)
    assert user["user_id"] == user_key(5)
    assert [(one["rank"], one["item_id"]) for one in user["items"]] == [(row["rank"], row["item_id"]) for row in rows]
    shown = CliRunner().invoke(cli, ["recommend", "--user", user_key(5), "--user", user_key(6), "--top", "3"]).stdout
    head, first, *_ = shown.splitlines()[1:]
    assert head.split() == ["rank", "item", "title", "score", "source"]
    assert first.split()[:2] == ["1", str(rows[0]["item_id"])]
    assert f"user {user_key(6)}" in shown
    unknown = CliRunner().invoke(cli, ["recommend", "--user", "kunde 005"])
    assert unknown.exit_code == 1
    assert "did you mean kunde 005 ü" in unknown.stderr


@pytest.mark.parametrize(
    ("split", "line"),
    [
        ("temporal", "ncf.split: temporal needs times, and the log has none; use random, leave_one_out or given"),
        ("given", "ncf.split: given needs the log's own split, and it has none; name its column or its files"),
        ("random", "ncf.split: random leaves no rows to test on: no user has enough interactions"),
    ],
)
def test_one_user_and_one_item_without_time_or_split_end_in_one_line(
    project: Project, spark: SparkSession, split: str, line: str
) -> None:
    schema = LogSchema(source="test", has_time=False)
    rows = {"interactions": [(7, 9, 1.0, None, 1, None)], "users": [(7, None)], "items": [(9, None, None)]}
    use_log(project, schema, **rows)
    assert project.run("--params", f"ncf.split={split}").error.startswith(line)
    assert not project.path("data/06_models/ncf").exists()


def test_a_log_of_views_alone_ends_in_one_line(project: Project, spark: SparkSession) -> None:
    schema = LogSchema(source="test", has_label=True)
    rows = {"interactions": [(7, 9, 1.0, 1, 0, None)], "users": [(7, None)], "items": [(9, None, None)]}
    use_log(project, schema, **rows)
    assert project.run().error.startswith("no interaction is left: all 1 rows of the log have label 0; check which")
