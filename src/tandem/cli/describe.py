"""``tandem describe``: a first version of the page that says which column of a log plays which role."""

from pathlib import Path
from typing import Any

import click

from tandem.cli.one_line import one_line_errors
from tandem.cli.run_command import interruptible
from tandem.errors import UserError
from tandem.storage.locations import local_path, location


class Place(click.ParamType[Any]):
    """A file or folder, or its address."""

    name = "FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The place; a fault of usage where there is none."""
        try:
            return location(value)
        except UserError as error:
            self.fail(f"{error}.", param, ctx)


@click.command()
@click.argument("files", type=Place(), nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--out", type=click.Path(dir_okay=False), help="File to write, as conf/local/tables.yml; else it is shown."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def describe(files: tuple[Any, ...], out: str | None, force: bool) -> None:
    """Look at the files of a log of your own, and write down which column plays which role.

    FILE is a file or folder (or its address) of CSV, JSON lines or Parquet: the interactions, and the tables of users
    and items where there are any, in any order. What the page says is a guess where a comment says so. With --out
    conf/local/tables.yml a plain kedro run --tags ncf reads it; docs/own_tables.md has the rest.
    """
    with one_line_errors(), interruptible():
        from tandem.sources.tables.page import describe as page_of
        from tandem.sources.tables.page import write_page

        target: Path | None = None if out is None else local_path(out)
        if target is not None and target.exists() and not force:
            raise UserError(f"{target} is there already; name another file, or add --force to replace it")
        page = page_of(files)
        if target is None:
            click.echo(page, nl=False)
            return
        write_page(page, target, force=force)
        click.echo(f"{target}: look at its comments, then: kedro run --tags ncf")
