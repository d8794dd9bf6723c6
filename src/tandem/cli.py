"""The ``tandem`` command, and what replaces ``kedro run``: here, and only here, an error becomes one line."""

import contextlib
import logging.config
import os
import pkgutil
import re
import signal
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

os.environ.setdefault("DO_NOT_TRACK", "1")

import click
from kedro.config import MissingConfigException
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import configure_project, pipelines
from kedro.framework.startup import bootstrap_project
from kedro.io import DatasetError
from kedro.utils import is_kedro_project
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

import tandem.pipelines
from tandem import __version__
from tandem.errors import UserError, did_you_mean
from tandem.hooks import LazySparkHook, configure_spark
from tandem.settings import CONFIG_LOADER_ARGS, CONFIG_LOADER_CLASS
from tandem.sources.recsys2021_format import with_row
from tandem.sources.staging import CANNOT_WRITE

INTERRUPTED = 130
DRY_RUNNER = "tandem.dry_run.DryRunner"  # imported where it is asked for
RUN_AS_KEDRO_DOES: Callable[..., Any] = cast(Callable[..., Any], kedro_run.callback)

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(message)s", "datefmt": "%H:%M:%S"}},
    # What Spark's bridge to Java logs of an error, as the root logger, is raised as well.
    "filters": {"not the bridge": {"()": lambda: lambda record: "py4j" not in record.pathname}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["not the bridge"]},
    },
    "loggers": {
        "tandem": {"level": "INFO"},
        "py4j": {"level": "CRITICAL"},
        # They announce what then is raised, and is said once: in one line, or as a traceback.
        "kedro.pipeline.node": {"level": "CRITICAL"},
        "kedro.runner": {"level": "ERROR"},
        "kedro.validation": {"level": "CRITICAL"},
    },
    "root": {"level": "WARNING", "handlers": ["console"]},
}


def quiet_warnings() -> None:
    """Keep away what tools warn of each other: Kedro of OmegaConf, and kedro-viz of FastAPI."""
    warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated")
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")


quiet_warnings()  # now: every kedro command in the project imports this module before its own


def quiet_logging() -> None:
    """Our own lines and everybody's warnings, unless the user has configured Kedro's logging himself."""
    if "KEDRO_LOGGING_CONFIG" not in os.environ:
        for logger in logging.Logger.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                logger.handlers.clear()
        logging.getLogger("kedro").setLevel(logging.WARNING)
        logging.getLogger("kedro_viz").setLevel(logging.ERROR)
        quiet_warnings()
        logging.config.dictConfig(LOGGING)


@contextlib.contextmanager
def one_line_errors(conf_source: str | None = None) -> Iterator[None]:
    """Turn what the user can mend into one line and a non-zero exit; everything else keeps its traceback.

    conf_source: where the user says that the configuration is.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted: earlier outputs are as they were.", err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        line = user_line(error, conf_source)
        if line is None:
            raise
        raise click.ClickException(line) from None


def user_line(error: BaseException, conf_source: str | None = None) -> str | None:
    """The line for the user, or None where the error is a fault of ours."""
    lines = (_told_by(cause) for cause in _causes(error))
    return next((_one_line(line) for line in lines if line is not None), None) or _kedros_line(error, conf_source)


def _told_by(error: BaseException) -> str | None:
    """What this one error of a chain tells the user."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE and error.filename:
        return f"cannot write {error.filename}: {error.strerror}; make the place writable or choose another one"
    # A Python process of Spark tells only the text of what it raised.
    told = re.search(rf"^{UserError.__module__}\.{UserError.__name__}: (.+)$", str(error), re.MULTILINE)
    return with_row(told[1]) if told is not None else None


def _kedros_line(error: BaseException, conf_source: str | None) -> str | None:
    """Kedro's own words for what was asked of it; what it only wraps is a fault of ours."""
    text = _one_line(str(error))
    if isinstance(error, MissingConfigException):
        return f"{text}; {_where_configuration_is(conf_source)}"
    if isinstance(error, YAMLError | OmegaConfBaseException):
        return f"the configuration cannot be read: {text}"
    refused = isinstance(error, DatasetError) and error.__cause__ is None
    unknown = isinstance(error, ValueError) and "pipeline" in text.lower()
    return text if refused or unknown or isinstance(error, ParameterValidationError) else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _where_configuration_is(conf_source: str | None) -> str:
    source = Path(conf_source or "conf")
    if source.exists() and (conf_source is not None or is_kedro_project(Path.cwd())):
        return f"the environments (--env) in {source} are {', '.join(_environments(source)) or 'none'}"
    return "here is no project: pass --conf-source conf-tandem.tar.gz, which comes with the wheel, or a folder"


def _environments(source: Path) -> list[str]:
    """The folders of a configuration; in an archive, as it comes with the wheel, they are inside of ``conf``."""
    if source.is_dir():
        return sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    if zipfile.is_zipfile(source):
        names = zipfile.ZipFile(source).namelist()
    else:
        with tarfile.open(source) as archive:
            names = archive.getnames()
    return sorted({parts[1] for parts in (Path(name).parts for name in names) if len(parts) == 3})


def _one_line(text: str) -> str:
    return " ".join(text.split())


def check_source(conf_source: str | None) -> None:
    """Raise UserError for what is no configuration; Kedro has a traceback for a broken archive."""
    source = Path(conf_source or "conf")
    if conf_source is not None and source.exists():  # else it is an address, which Kedro opens
        if source.is_file() and not (tarfile.is_tarfile(source) or zipfile.is_zipfile(source)):
            raise UserError(f"--conf-source: {source} is neither a folder nor an intact .tar.gz or .zip of one")
        if "base" not in _environments(source):
            raise UserError(f"--conf-source: {source} holds no configuration: there is no folder base in it")


def check_names(options: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown pipeline or tag; Kedro has a traceback for the one and no name for the other."""
    known = {module.name for module in pkgutil.iter_modules(tandem.pipelines.__path__)} | {"__default__"}
    asked = [*(options.get("pipelines") or ()), *([options["pipeline"]] if options.get("pipeline") else ())]
    for name in asked:
        if name not in known:
            raise UserError(f"--pipelines: there is no pipeline {name}; {did_you_mean(name, known)}")
    tags = {tag for pipeline in pipelines.values() for node in pipeline.nodes for tag in node.tags}
    for tag in options.get("tags") or ():
        if tag not in tags:
            raise UserError(f"--tags: no node has the tag {tag}; {did_you_mean(tag, tags)}")


def _run(*, dry_run: bool, **options: Any) -> Any:
    quiet_logging()
    with one_line_errors(options.get("conf_source")):
        check_source(options.get("conf_source"))
        check_names(options)
        if dry_run:
            options["runner"] = DRY_RUNNER
        elif options.get("runner") in (None, "SequentialRunner") and not options.get("runner_params"):
            # A node's outputs are written at the same time: one small write alone leaves cores idle.
            options["runner_params"] = {"is_async": True}
        LazySparkHook.starts_early = not dry_run and _begins_with_spark(options)
        with interruptible():
            return RUN_AS_KEDRO_DOES(**options)


# Options of a run that may leave out the first nodes.
NOT_WHOLE = ("from_nodes", "node_names", "from_inputs", "namespaces", "only_missing_outputs")


def _begins_with_spark(options: Mapping[str, Any]) -> bool:
    """Whether the data processing is asked for, from its beginning and in this process."""
    asked = [*(options.get("pipelines") or ()), *filter(None, [options.get("pipeline")])] or ["__default__"]
    here = options.get("runner") in (None, "SequentialRunner")
    whole = not any(options.get(name) for name in NOT_WHOLE)
    return here and whole and not {"__default__", "data_processing"}.isdisjoint(asked)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C also ends what other threads wait for: Spark's writes."""

    def stop(number: int, frame: object) -> None:
        spark = sys.modules.get("tandem.datasets.spark_session")
        if spark is not None:
            spark.stop_java()
        raise KeyboardInterrupt

    original = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, original)


run = click.Command(
    "run",
    params=[
        *kedro_run.params,
        click.Option(
            ["--dry-run"], is_flag=True, help="Print how Spark and the ranks would be started; start nothing."
        ),
    ],
    callback=_run,
    help="Run pipelines, or a part of them by tags.",
)


class OneLineGroup(click.Group):
    """A group of commands whose wrong usage is told in one line as well, instead of Click's four."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command; as Click's own, but for what is printed of wrong usage."""
        try:
            return super().main(*arguments, **(options | {"standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as help_wanted:
            help_wanted.show()
            sys.exit(help_wanted.exit_code)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx is not None else "tandem"
            click.echo(f"Error: {_one_line(error.format_message())} See {command} --help", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)


@click.group(name="tandem", cls=OneLineGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tandem")
def cli() -> None:
    """Recommender workflows from raw logs to ranked lists."""


cli.add_command(run)


@cli.group()
def generate() -> None:
    """Write generated data as files, in the form of the published ones."""


@generate.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--users", default=1_000, show_default=True, type=click.IntRange(min=2))
@click.option("--items", default=1_700, show_default=True, type=click.IntRange(min=2))
@click.option("--ratings", default=100_000, show_default=True, type=click.IntRange(min=2))
@click.option("--seed", default=42, show_default=True)
def movielens(out: Path, users: int, items: int, ratings: int, seed: int) -> None:
    """MovieLens in the format of ml-100k; run on it with --params movielens=ml-100k,movielens_path=DIR."""
    with one_line_errors():
        from tandem.sources.synthetic_movielens import write_synthetic_movielens

        write_synthetic_movielens(out, users=users, items=items, ratings=ratings, seed=seed)
        click.echo(f"{ratings:,} ratings of {users:,} users and {items:,} items in {out}")


@generate.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--rows", default=100_000, show_default=True, type=click.IntRange(min=100), help="Train and test rows.")
@click.option("--kind", default="planted", show_default=True, type=click.Choice(["planted", "noise", "unique"]))
@click.option("--seed", default=42, show_default=True)
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


@cli.group()
def download() -> None:
    """Fetch published data, checked by checksum."""


@download.command("movielens")
@click.argument("kind", type=click.Choice(["ml-100k", "ml-1m"]))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the zip.")
@click.option("--url", help="Another place to fetch the same file from.")
def download_movielens_command(kind: Literal["ml-100k", "ml-1m"], out: Path, url: str | None) -> None:
    """The published zip of MovieLens; run on it with --params movielens=KIND,movielens_path=FILE."""
    with one_line_errors():
        from tandem.sources.movielens_files import download_movielens

        click.echo(download_movielens(kind, out, url=url))


@cli.command()
def doctor() -> None:
    """Say what is installed, built against what and bound how; non-zero when something does not fit."""
    with one_line_errors():
        from tandem.distributed.doctor import report, run_checks

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
