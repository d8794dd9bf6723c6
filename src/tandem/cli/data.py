"""What writes or fetches data: ``tandem generate`` and ``tandem download``."""

from pathlib import Path
from typing import Any, Literal

import click
from kedro.utils import is_kedro_project

from tandem.cli.logs import quiet_logging
from tandem.cli.one_line import one_line_errors
from tandem.cli.run_command import interruptible
from tandem.errors import UserError
from tandem.hooks import configure_spark
from tandem.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from tandem.storage.locations import local_path


class Folder(click.Path):
    """A folder of this machine to write; ``~`` is the home folder, which a shell does not say behind ``--out=``."""

    def __init__(self) -> None:
        super().__init__(file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; a fault of usage where there is none."""
        try:
            super().convert(path := local_path(value), param, ctx)
            return path
        except UserError as error:
            self.fail(f"{error}.", param, ctx)


# As the parameter of a run.
SEED = click.IntRange(min=0, max=2**31 - 1)


@click.group()
def generate() -> None:
    """Write generated data as files, in the form of the published ones."""


@generate.command()
@click.option("--out", type=Folder(), required=True, help="Folder to write.")
@click.option("--users", default=1_000, show_default=True, type=click.IntRange(min=2))
@click.option("--items", default=1_700, show_default=True, type=click.IntRange(min=2))
@click.option("--ratings", default=100_000, show_default=True, type=click.IntRange(min=2))
@click.option("--seed", default=42, show_default=True, type=SEED)
def movielens(out: Path, users: int, items: int, ratings: int, seed: int) -> None:
    """MovieLens in the format of ml-100k; run on it with --params movielens=ml-100k,movielens_path=DIR."""
    with one_line_errors(), interruptible():
        from tandem.sources.synthetic_movielens import write_synthetic_movielens

        write_synthetic_movielens(out, users=users, items=items, ratings=ratings, seed=seed)
        click.echo(f"{ratings:,} ratings of {users:,} users and {items:,} items in {out}")


@generate.command()
@click.option("--out", type=Folder(), required=True, help="Folder to write.")
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(min=100), help="Train and test rows.")
@click.option("--kind", default="planted", show_default=True, type=click.Choice(["planted", "noise", "unique"]))
@click.option("--seed", default=42, show_default=True, type=SEED)
@click.option("--raw", is_flag=True, help="Write the published raw form, \\x01 between the columns, not Parquet.")
def recsys2021(out: Path, rows: int, kind: Literal["planted", "noise", "unique"], seed: int, raw: bool) -> None:
    """The RecSys Challenge 2021, train/ and test/; run on it with --params recsys2021=files,recsys2021_path=DIR.

    planted: labels drawn from a known function of user, author and tweet; noise: coin flips instead; unique: every id,
    link and tag its own. What a perfect model reaches is in planted.json.
    """
    with one_line_errors(), interruptible():
        from tandem.sources.synthetic_recsys2021 import check_request, write_synthetic_recsys2021

        check_request(out, rows, kind)  # what cannot be is said before seconds go into Spark's start
        session = _start_spark()
        made = write_synthetic_recsys2021(session, out, rows=rows, kind=kind, seed=seed, raw=raw)
        click.echo(
            f"{made.train_rows:,} training and {made.test_rows:,} test rows ({kind}) in {out}: "
            f"{made.base_rate:.1%} with an engagement, best reachable AUC {made.best_auc:.4f}"
        )


def _start_spark() -> Any:
    """A session with the settings of the project's conf/base, or of none: with those that keep it quiet."""
    from tandem.datasets.spark_session import spark_session

    quiet_logging()
    parameters: dict[str, Any] = {}
    configuration: dict[str, Any] = {"spark.ui.enabled": False, "spark.log.level": "FATAL"}
    if is_kedro_project(Path.cwd()):
        arguments: dict[str, Any] = {**CONFIG_LOADER_ARGS}
        loader = CONFIG_LOADER_CLASS("conf", **arguments)
        parameters, configuration = loader["parameters"].get("spark", {}), configuration | loader["spark"]
    configure_spark(parameters, configuration)
    return spark_session()


@click.group()
def download() -> None:
    """Fetch published data, checked by checksum."""


@download.command("movielens")
@click.argument("kind", type=click.Choice(["ml-100k", "ml-1m"]))
@click.option("--out", type=Folder(), required=True, help="Folder for the zip.")
@click.option("--url", help="Another place to fetch the same file from.")
def download_movielens_command(kind: Literal["ml-100k", "ml-1m"], out: Path, url: str | None) -> None:
    """The published zip of MovieLens; run on it with --params movielens=KIND,movielens_path=FILE."""
    with one_line_errors(), interruptible():
        from tandem.sources.movielens_files import download_movielens

        click.echo(download_movielens(kind, out, url=url))
