"""Kedro hooks: Spark's configuration without Spark, parameters checked, and a line per node."""

import inspect
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, get_type_hints

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import TypeAdapter, ValidationError

from tandem.config_loader import wrong_data
from tandem.datasets.spark_archive import java_options
from tandem.errors import UserError, did_you_mean, invalid_parameters
from tandem.parameters import DataParameters, SparkParameters
from tandem.parameters.spark import PARAMETER_OF_SETTING
from tandem.surroundings import UTF8_LOCALE, java_places, make_environment

logger = logging.getLogger(__name__)

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# On other hosts, as here: no module comes from a working folder, and file names are in UTF-8.
EXECUTORS = {"spark.executorEnv.PYTHONSAFEPATH": "1", "spark.executorEnv.LC_ALL": UTF8_LOCALE}
QUICK_COMPILER = "-XX:TieredStopAtLevel=1"


class LazySparkHook:
    """Hands parameters and ``spark.yml`` to the Spark session that the first Spark dataset will start.

    Starts none, unless the run command knows that the first node will need it.
    """

    starts_early: ClassVar[bool] = False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Put the configuration where a new session looks for it."""
        configure_spark(context.config_loader["parameters"].get("spark", {}), context.config_loader["spark"])
        if self.starts_early:
            from tandem.datasets.spark_session import start_in_background

            start_in_background()


def configure_spark(parameters: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Put both where the session to come looks for them; configuration: what spark.yml says.

    Raises:
        UserError: a parameter does not fit; spark.yml sets what a parameter decides, or something that is no setting.
    """
    try:
        spark = SparkParameters.model_validate(parameters)
    except ValidationError as error:
        raise UserError("; ".join(invalid_parameters("spark", SparkParameters, error))) from error
    for name, value in configuration.items():
        if not str(name).startswith("spark.") or not isinstance(value, str | int | float):
            raise UserError(
                f"spark.yml: {name}: expected a setting of Spark's with its value, as spark.ui.enabled: true, found "
                f"{name}: {value!r}, which Spark would pass over"
            )
        if name in PARAMETER_OF_SETTING:
            parameter = f"spark.{PARAMETER_OF_SETTING[name]}"
            raise UserError(
                f"spark.yml sets {name}, which the parameter {parameter} decides; remove it there, and set {parameter} "
                f"in parameters.yml or by --params {parameter}={value}"
            )
    settings = {**({} if spark.local else EXECUTORS), **configuration, **spark.settings()}
    compiler = QUICK_COMPILER if spark.short_run else ""
    places = java_places(os.environ)  # before what spark.yml says, which may name others
    options = " ".join(filter(None, (*places, settings.pop(JAVA_OPTIONS, ""), compiler, java_options())))
    python = spark.python if spark.python is not None and not spark.local else sys.executable
    put_away = make_environment(os.environ, local=spark.local, python=python)
    if put_away:
        logger.info("left out for Spark, as set for other programs: %s", ", ".join(put_away))
    os.environ["PYSPARK_SUBMIT_ARGS"] = submit_arguments(settings | ({JAVA_OPTIONS: options} if options else {}))


def submit_arguments(configuration: Mapping[str, Any]) -> str:
    """Spark settings as the arguments of a submission: values are quoted, booleans written as Spark reads them."""
    arguments = []
    for name, value in sorted(configuration.items()):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ["--conf", f"{name}={text}"]
    return shlex.join([*arguments, "pyspark-shell"])


class ParametersHook:
    """All parameters of the requested pipelines are checked before anything else, each fault in words of ours.

    Kedro checks the typed ones too, but lets unknown names at the top through, and plain types such as int.
    """

    @hook_impl(tryfirst=True)  # what is wrong is told before anybody uses it
    def after_context_created(self, context: KedroContext) -> None:
        """Compare the names with those that there are, and the values with the nodes' annotations.

        At the top there is what conf/base has (so a parameter of your own stands there too), or what a node or the
        catalog takes.
        Raises UserError naming all that do not fit.
        """
        loader = context.config_loader
        if not isinstance(loader, OmegaConfigLoader):
            return
        types = parameter_types(pipelines.values()) | {"spark": SparkParameters}
        known = types.keys() | DataParameters.model_fields
        texts = unknown_names(context._runtime_params or {}, loader, known)  # the context offers no other way
        if not texts:
            parameters = loader["parameters"]
            read_by_the_catalog = DataParameters.model_fields
            types = {name: type_ for name, type_ in types.items() if name not in read_by_the_catalog}
            texts = wrong_data(parameters) + wrong_values(parameters, types)
        if texts:
            raise UserError("; ".join(texts))


def unknown_names(given: Mapping[str, Any], loader: OmegaConfigLoader, used: Iterable[str]) -> list[str]:
    """What to say of the run-time parameters, and of those in an environment's files, that nothing knows.

    used: the parameters that nodes or the catalog take. Names that begin with an underscore are a file's own helpers.
    """
    # Before anything is resolved: another loader's values would take the place of this one's in every file.
    base, environment, *_ = loader._read_raw_config("parameters")
    known = {str(name) for file in base.values() for name in file} | {name.partition(".")[0] for name in used}
    wrong = [(name, "") for name in sorted(given)]
    wrong += [(str(name), f"{path}: ") for path, file in sorted(environment.items()) for name in file]
    return [
        f"{place}{name}: there is no such parameter; {did_you_mean(name, known)}"
        + ("; a new one must stand in conf/base too" if place else "")
        for name, place in wrong
        if name not in known and not name.startswith("_")
    ]


def wrong_values(parameters: Mapping[str, Any], types: Mapping[str, Any]) -> list[str]:
    """What to say of the values that do not fit their types."""
    texts: list[str] = []
    for name, type_ in types.items():
        if name in parameters:
            try:
                TypeAdapter(type_).validate_python(parameters[name])
            except ValidationError as error:
                texts += invalid_parameters(name, type_, error)
    return texts


def parameter_types(of: Iterable[Pipeline]) -> dict[str, Any]:
    """The annotation of each ``params:`` input of the nodes, by the parameter's name."""
    types: dict[str, Any] = {}
    for node in {node for pipeline in of for node in pipeline.nodes}:
        hints = get_type_hints(node.func, include_extras=True)
        for source, argument in zip(node.inputs, inspect.signature(node.func).parameters, strict=False):
            prefix, _, name = source.partition(":")
            if prefix == "params":
                types[name] = hints.get(argument, Any)
    return dict(sorted(types.items()))


class NodeTimesHook:
    """One line per node with its seconds: loading, running and saving."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._unsaved: set[str] = set()

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Start the clock with the node's first input."""
        if not self._unsaved:
            self._started, self._unsaved = time.perf_counter(), set(node.outputs)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Stop it with the node's last output."""
        self._unsaved.discard(dataset_name)
        if not self._unsaved:
            logger.info("%s: %.1f s", node.name, time.perf_counter() - self._started)
