"""``kedro run`` as this project has it: checked before it begins, quiet, interruptible, and with a dry run."""

import atexit
import contextlib
import signal
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline

from tandem.cli.logs import quiet_logging
from tandem.cli.one_line import environments, one_line_errors
from tandem.cli.params import OnceCommand, params_given
from tandem.errors import UserError, did_you_mean
from tandem.hooks import LazySparkHook
from tandem.one_run import DRY_RUNNER, OneRunHook
from tandem.requirements import RequirementsHook
from tandem.storage.signals import Ended, heeded

RUN_AS_KEDRO_DOES: Callable[..., Any] = cast(Callable[..., Any], kedro_run.callback)
IGNORED_AFTER_THE_FIRST = 1
# Options of a run that choose nodes, by their names and by those of datasets.
CHOICES = ("node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")
# Options of a run that may leave out the first nodes.
NOT_WHOLE = ("from_nodes", "node_names", "from_inputs", "namespaces", "only_missing_outputs")


def check_source(conf_source: str | None) -> None:
    """Raise UserError for what is no configuration; Kedro has a traceback for a broken archive."""
    source = Path(conf_source or "conf")
    if conf_source is not None and source.exists():  # else it is an address, which Kedro opens
        if source.is_file() and not (tarfile.is_tarfile(source) or zipfile.is_zipfile(source)):
            raise UserError(f"--conf-source: {source} is neither a folder nor an intact .tar.gz or .zip of one")
        if "base" not in environments(source):
            raise UserError(f"--conf-source: {source} holds no configuration: there is no folder base in it")


def check_names(options: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown pipeline or tag; Kedro has a traceback for the one and no name for the other."""
    for name in pipelines_told(options):
        if name not in pipelines:
            raise UserError(f"--pipelines: there is no pipeline {name}; {did_you_mean(name, pipelines)}")
    tags = {tag for pipeline in pipelines.values() for node in pipeline.nodes for tag in node.tags}
    for tag in options.get("tags") or ():
        if tag not in tags:
            raise UserError(f"--tags: no node has the tag {tag}; {did_you_mean(tag, tags)}")


def pipelines_told(options: Mapping[str, Any]) -> list[str]:
    """The pipelines that are asked for by name."""
    return [*(options.get("pipelines") or ()), *filter(None, [options.get("pipeline")])]


def pipelines_asked(options: Mapping[str, Any]) -> list[str]:
    """The pipelines that are asked for: by name, or as those that the tags, nodes and datasets asked for are in.

    Kedro looks for these in ``__default__`` alone; a pipeline that is left out there has a tag of its name.
    """
    told = pipelines_told(options)
    if told:
        return told
    held = {name: _names(pipeline) | pipeline.datasets() for name, pipeline in pipelines.items()}
    usual, tags = held["__default__"], set(options.get("tags") or ())
    wanted = {name for option in CHOICES for name in options.get(option) or ()}
    asked = [name for name in held if held[name] - usual and (name in tags or held[name] & (wanted - usual))]
    is_all = bool(asked) and tags <= set(asked) and wanted <= set[str]().union(*(held[name] for name in asked))
    return asked if is_all else ["__default__", *asked]


def _run(*, dry_run: bool, **options: Any) -> Any:
    quiet_logging()
    with one_line_errors(options.get("conf_source")):
        check_source(options.get("conf_source"))
        check_names(options)
        if pipelines_asked(options) != ["__default__"]:
            options |= {"pipelines": pipelines_asked(options), "pipeline": None}
        if dry_run:
            options["runner"] = DRY_RUNNER
        elif options.get("runner") in (None, "SequentialRunner") and not options.get("runner_params"):
            # A node's outputs are written at the same time: one small write alone leaves cores idle.
            options["runner_params"] = {"is_async": True}
        RequirementsHook.nodes = () if options.get("runner") == DRY_RUNNER else nodes_asked(options)
        LazySparkHook.starts_early = not dry_run and _begins_with_spark(options)
        OneRunHook.at_once = options.get("runner") != DRY_RUNNER
        try:
            with interruptible():
                return RUN_AS_KEDRO_DOES(**options)
        finally:
            OneRunHook.end()
            OneRunHook.at_once = False
            RequirementsHook.nodes = ()


def nodes_asked(options: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the nodes that a run with these options will have; none where Kedro will refuse the options."""
    chosen = {name: options.get(name) or None for name in ("tags", *CHOICES)}
    try:
        nodes = sum((pipelines[name] for name in pipelines_asked(options)), Pipeline([]))
        return tuple(node.name for node in nodes.filter(**chosen).nodes)
    except ValueError:
        return ()


def _begins_with_spark(options: Mapping[str, Any]) -> bool:
    """Whether the data processing is asked for, from its beginning and in this process."""
    here = options.get("runner") in (None, "SequentialRunner")
    whole = not any(options.get(name) for name in NOT_WHOLE)
    processing = _names(pipelines["data_processing"])
    return here and whole and any(processing & _names(pipelines[name]) for name in pipelines_asked(options))


def _names(pipeline: Pipeline) -> set[str]:
    return {node.name for node in pipeline.nodes}


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the work in order, and also what other threads wait for: Spark's writes.

    The first to come is raised as ``Ended``. A second changes nothing: a terminal or ``timeout`` may send two at once.
    Who asks a third time wants no order, and gets the signal's own effect. What is ignored from the start, as SIGHUP
    under nohup, stays ignored.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        if len(received) == 1:
            atexit.register(_ignore_what_ends)
            spark = sys.modules.get("tandem.datasets.spark_session")
            if spark is not None:
                spark.stop_java()
            raise Ended(number)
        if len(received) > IGNORED_AFTER_THE_FIRST + 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    originals = {number: signal.signal(number, stop) for number in heeded()}
    try:
        yield
    finally:
        if not received:  # else threads are still waited for, which must not be cut off either
            for number, handler in originals.items():
                signal.signal(number, handler)


def _ignore_what_ends() -> None:
    """From here on everything is in order, and only the exit code could be lost: Python gives up its handlers."""
    for number in heeded():
        signal.signal(number, signal.SIG_IGN)


PARAMS_HELP = """Parameters of this run: NAME=VALUE between commas, dots inside of blocks. A list as NAME=[1,2], a text
with a comma as NAME="a,b"; quote the whole for the shell."""

run = OnceCommand(
    "run",
    params=[
        *(option for option in kedro_run.params if option.name != "params"),
        click.Option(["--params"], type=click.UNPROCESSED, default="", help=PARAMS_HELP, callback=params_given),
        click.Option(
            ["--dry-run"], is_flag=True, help="Print how Spark and the ranks would be started; start nothing."
        ),
    ],
    callback=_run,
    help="Run pipelines, or a part of them by tags.",
)
