"""``tandem recommend``: the stored list of a user, without Spark or a framework."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.utils import is_kedro_project

from tandem.cli.one_line import one_line_errors
from tandem.errors import UserError
from tandem.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS

if TYPE_CHECKING:
    import pyarrow as pa

    from tandem.storage.locations import RemotePath

ENTRY = "ncf_recommendations"
COLUMNS = ("user_id", "item_id", "rank", "score", "source", "title")
MOST_COMPARED = 200_000
"""Ids that a wrong one is compared with."""


@click.command()
@click.option("--user", "users", multiple=True, required=True, help="Id, as in the log; repeat it for several users.")
@click.option("--top", type=click.IntRange(min=1), help="At most so many items; otherwise all of the stored list.")
@click.option("--env", help="Environment of the configuration; otherwise local.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a list of users with their items.")
def recommend(users: tuple[str, ...], top: int | None, env: str | None, as_json: bool) -> None:
    """Print the list that NCF published for a user; make lists by kedro run --tags ncf."""
    with one_line_errors():
        lists = {user: rows[:top] for user, rows in _lists(_place(env), list(dict.fromkeys(users))).items()}
        click.echo(_as_json(lists) if as_json else "\n\n".join(_as_table(user, rows) for user, rows in lists.items()))


def _place(env: str | None) -> "Path | RemotePath":
    """Where the lists are, by the project's configuration."""
    from tandem.storage.filesystems import exists
    from tandem.storage.locations import location

    if not is_kedro_project(Path.cwd()):
        raise UserError("here is no project: run it in the folder that kedro run --tags ncf was run in")
    arguments: dict[str, Any] = {**CONFIG_LOADER_ARGS}
    entry = CONFIG_LOADER_CLASS("conf", env=env, **arguments)["catalog"][ENTRY]
    place = location(entry["filepath"]).absolute()
    if not exists(place):
        raise UserError(f"{place} does not exist; make it first: kedro run --tags ncf")
    return place


def _lists(place: "Path | RemotePath", users: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each user, the best first; read in one pass."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from tandem.storage.parquet import open_parquet, parquet_files, scan

    schema = open_parquet(parquet_files(place)[0]).schema_arrow
    if not set(COLUMNS) <= set(schema.names):
        raise UserError(f"{place} was made by another version of tandem; make it anew: kedro run --tags ncf")
    kind = schema.field("user_id").type
    ids = {user: _id(user, kind) for user in users}
    wanted = pa.array(ids.values(), kind)
    found: dict[Any, list[dict[str, Any]]] = {}
    for batch in scan(place, list(COLUMNS)):
        for row in batch.filter(pc.is_in(batch.column("user_id"), wanted)).to_pylist():
            found.setdefault(row["user_id"], []).append(row)
    unknown = next((user for user, its_id in ids.items() if its_id not in found), None)
    if unknown is not None:
        raise UserError(f"no list for the user {unknown} in {place}{_near(place, unknown)}")
    return {user: sorted(found[its_id], key=lambda row: int(row["rank"])) for user, its_id in ids.items()}


def _id(user: str, kind: "pa.DataType") -> int | str:
    import pyarrow as pa

    if not pa.types.is_integer(kind):
        return user
    try:
        return int(pa.scalar(int(user), kind).as_py())
    except (ValueError, OverflowError):
        raise UserError(f"--user: expected a whole number, as the log's ids are, found {user!r}") from None


def _near(place: "Path | RemotePath", user: str) -> str:
    """The ids that are most like it, of as many as are quickly compared."""
    from tandem.storage.parquet import scan

    ids: dict[str, None] = {}
    for batch in scan(place, ["user_id"]):
        ids |= dict.fromkeys(map(str, batch.column("user_id").unique().to_pylist()))
        if len(ids) > MOST_COMPARED:
            break
    near = difflib.get_close_matches(user, ids, 3)
    return f"; did you mean {' or '.join(near)}?" if near else "; lists are of the users of the log, by their ids there"


def _as_json(lists: dict[str, list[dict[str, Any]]]) -> str:
    documents = [
        {"user_id": rows[0]["user_id"], "items": [{k: v for k, v in row.items() if k != "user_id"} for row in rows]}
        for rows in lists.values()
    ]
    return json.dumps(documents, indent=2, ensure_ascii=False)


def _as_table(user: str, rows: list[dict[str, Any]]) -> str:
    """Columns as wide as what stands in them, numbers to the right; titles where there are any."""
    columns: dict[str, list[str]] = {
        "rank": [str(row["rank"]) for row in rows],
        "item": [str(row["item_id"]) for row in rows],
        "title": [" ".join((row["title"] or "").split()) for row in rows],
        "score": [f"{row['score']:.4f}" for row in rows],
        "source": [row["source"] for row in rows],
    }
    if not any(columns["title"]):
        del columns["title"]
    lines = zip(*(_aligned(name, texts) for name, texts in columns.items()), strict=True)
    return "\n".join([f"user {user}", *("  ".join(line).rstrip() for line in lines)])


def _aligned(name: str, texts: list[str]) -> list[str]:
    width = max(map(len, (name, *texts)))
    return [text.rjust(width) if name in ("rank", "score") else text.ljust(width) for text in (name, *texts)]
