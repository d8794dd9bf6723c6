"""``tandem run --dry-run``: what a run would start, Spark's line and each job's, with nothing started.

It is a runner of Kedro's, so that pipelines, tags, environments and parameters are those of the run itself.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import click
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import AbstractRunner
from pluggy import PluginManager

from tandem.distributed.job import RankProgram
from tandem.distributed.launch.preview import preview
from tandem.models.click import CLICK_MODELS
from tandem.models.click.config import framework_of
from tandem.parameters import ClickParameters, DistributedParameters
from tandem.surroundings import MADE, spark_home

DISTRIBUTED = "params:distributed"
PROGRAM = "RANKS"  # the name in a training node's module


class DryRunner(AbstractRunner):
    """Prints Spark's line, then for each training node its plan and its job's; loads no dataset but parameters."""

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[Any, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        click.echo("# Spark, with the first dataset that needs it")
        click.echo(spark_line())
        for node in pipeline.nodes:
            for line in job_lines(node, catalog):
                click.echo(line)

    def _get_executor(self, max_workers: int) -> Executor | None:
        return None


def spark_line() -> str:
    """How Spark's Java will be started by this process, as its hook has configured it."""
    made = [f"{name}={shlex.quote(os.environ[name])}" for name in MADE if name in os.environ]
    return " ".join([*made, shlex.quote(f"{spark_home()}/bin/spark-submit"), os.environ["PYSPARK_SUBMIT_ARGS"]])


def job_lines(node: Node, catalog: CatalogProtocol[Any, Any]) -> Iterator[str]:
    """What a training node would launch; nothing for another node."""
    if DISTRIBUTED not in node.inputs:
        return
    program = _program(node, catalog)
    parameters = DistributedParameters.model_validate(catalog.load(DISTRIBUTED))
    (work,) = (name for name in node.inputs if name.endswith("_work"))
    dataset: Any = catalog.get(work)
    folder = Path(dataset._describe()["filepath"]).absolute()
    yield ""
    yield f"# {node.name}"
    if parameters.hosts or parameters.hostfile is not None:
        yield "# named hosts are taken to be like this one; a run asks each of them"
    yield from preview(program, parameters, folder).lines()


def _program(node: Node, catalog: CatalogProtocol[Any, Any]) -> RankProgram:
    """What the node's ranks run; where its module has one for each framework, that of the model's parameters."""
    programs: RankProgram | dict[str, RankProgram] = getattr(sys.modules[node.func.__module__], PROGRAM)
    if isinstance(programs, RankProgram):
        return programs
    (model,) = (name for name in CLICK_MODELS if f"params:{name}" in node.inputs)
    parameters = ClickParameters.model_validate(catalog.load(f"params:{model}"))
    return programs[framework_of(model, parameters)]
