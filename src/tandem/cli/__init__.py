"""The ``tandem`` command, and what replaces ``kedro run``."""

import os
import sys
from pathlib import Path
from typing import Literal

os.environ.setdefault("DO_NOT_TRACK", "1")

import click
from kedro.framework.project import configure_project
from kedro.framework.startup import bootstrap_project
from kedro.utils import is_kedro_project

from tandem import __version__
from tandem.cli.data import download, generate
from tandem.cli.describe import describe
from tandem.cli.logs import quiet_warnings
from tandem.cli.one_line import OneLineGroup, one_line_at_the_end, one_line_errors
from tandem.cli.recommend import recommend
from tandem.cli.run_command import run
from tandem.surroundings import own_pyspark_first

__all__ = ["cli", "main", "run"]

# Now: every kedro command in the project imports this module before its own.
quiet_warnings()
one_line_at_the_end()
own_pyspark_first(sys.path, os.environ)


@click.group(name="tandem", cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tandem")
def cli() -> None:
    """Recommender workflows from raw logs to ranked lists."""


for command in (run, recommend, describe, generate, download):
    cli.add_command(command)


@cli.command()
def doctor() -> None:
    """Say what is installed, built against what and bound how; non-zero when something does not fit."""
    with one_line_errors():
        from tandem.doctor.examination import run_checks
        from tandem.doctor.report import report

        checks = run_checks()
        click.echo(report(checks))
        if not all(check.ok for check in checks):
            sys.exit(1)


@cli.command()
@click.option("--ranks", type=click.IntRange(min=1), help="Number of ranks; otherwise one per NUMA domain.")
@click.option("--cores-per-rank", type=click.IntRange(min=1), help="Otherwise as many as fit a domain.")
@click.option("--communication-cores", type=click.IntRange(min=0), help="Of each rank, without a computing thread.")
@click.option("--domain", type=click.Choice(["numa", "package", "host"]), default="numa", show_default=True)
@click.option(
    "--xml",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Plan for another host, saved there by lstopo --of xml FILE; repeat it for several hosts.",
)
@click.option(
    "--mpi",
    type=click.Choice(["openmpi5", "openmpi4", "intelmpi", "mpich"]),
    help="Print how this MPI is told the plan as well.",
)
def topology(
    ranks: int | None,
    cores_per_rank: int | None,
    communication_cores: int | None,
    domain: Literal["numa", "package", "host"],
    xml: tuple[Path, ...],
    mpi: Literal["openmpi5", "openmpi4", "intelmpi", "mpich"] | None,
) -> None:
    """Say what this host has and may use, and which rank would run where."""
    with one_line_errors():
        from tandem.distributed.binding.report import report_topology
        from tandem.parameters import DistributedParameters

        parameters = DistributedParameters(
            num_ranks=ranks or "auto",
            cores_per_rank=cores_per_rank or "auto",
            communication_cores="auto" if communication_cores is None else communication_cores,
            domain=domain,
        )
        click.echo(report_topology(xml, parameters, mpi))


def main() -> None:
    """Entry point of the ``tandem`` command, in a project folder or from an installed wheel."""
    if sys.platform != "linux":
        sys.exit("tandem runs on Linux only: placement of ranks and shared memory are Linux's own")
    if is_kedro_project(Path.cwd()):
        bootstrap_project(Path.cwd())
    else:
        configure_project("tandem")
    cli()
