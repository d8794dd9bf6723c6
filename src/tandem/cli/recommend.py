"""``tandem recommend``: the stored list of a user, without Spark or a framework."""

import difflib
import json
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
        place = _place(env)
        lists = {user: _list_of(place, user, top) for user in dict.fromkeys(users)}
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


def _list_of(place: "Path | RemotePath", user: str, top: int | None) -> list[dict[str, Any]]:
    """The rows of one user, the best first."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from tandem.storage.parquet import scan

    found: list[dict[str, Any]] = []
    for batch in scan(place, list(COLUMNS)):
        ids = batch.column("user_id")
        wanted = pc.equal(ids, _id(user, ids.type))
        found += pa.Table.from_batches([batch]).filter(wanted).to_pylist()
    if not found:
        raise UserError(f"no list for the user {user} in {place}{_near(place, user)}")
    return sorted(found, key=lambda row: row["rank"])[:top]


def _id(user: str, kind: "pa.DataType") -> "pa.Scalar":
    import pyarrow as pa

    if not pa.types.is_integer(kind):
        return pa.scalar(user, kind)
    try:
        return pa.scalar(int(user), kind)
    except (ValueError, OverflowError):
        raise UserError(f"--user: the log's ids are whole numbers, found {user!r}") from None


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
    """Columns as wide as what stands in them; numbers to the right."""
    titles = any(row["title"] is not None for row in rows)
    head = ("rank", "item", *(("title",) if titles else ()), "score", "source")
    cells = [head] + [
        (
            str(row["rank"]),
            str(row["item_id"]),
            *((" ".join((row["title"] or "").split()),) if titles else ()),
            f"{row['score']:.4f}",
            row["source"],
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    right = {"rank", "score"}
    lines = (
        "  ".join(
            text.rjust(width) if name in right else text.ljust(width)
            for name, text, width in zip(head, line, widths, strict=True)
        ).rstrip()
        for line in cells
    )
    return "\n".join([f"user {user}", *lines])
