"""Kedro hooks: Spark's configuration without Spark, parameters checked, and a line per node."""

import difflib
import logging
import os
import shlex
import time
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

from tandem.errors import UserError

logger = logging.getLogger(__name__)


class LazySparkHook:
    """Hands ``conf/*/spark.yml`` to the Spark session that the first Spark dataset will start; starts none itself."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Put the configuration where a new session looks for it."""
        os.environ["PYSPARK_SUBMIT_ARGS"] = submit_arguments(context.config_loader["spark"])


def submit_arguments(configuration: dict[str, Any]) -> str:
    """Spark settings as the arguments of a submission: values are quoted, booleans written as Spark reads them."""
    arguments = []
    for name, value in sorted(configuration.items()):
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ["--conf", f"{name}={text}"]
    return shlex.join([*arguments, "pyspark-shell"])


class KnownParametersHook:
    """A run-time parameter that no configuration knows is an error; Kedro itself lets it through."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Compare the names given with those of the configuration.

        Raises UserError for the first unknown one.
        """
        given = set(context._runtime_params or {})  # the context offers no other way
        loader = context.config_loader
        if not given or not isinstance(loader, OmegaConfigLoader):
            return
        plain = OmegaConfigLoader(
            conf_source=loader.conf_source,
            env=loader.env,
            base_env=loader.base_env,
            default_run_env=loader.default_run_env,
            merge_strategy=loader.merge_strategy,
        )
        known = set(plain["parameters"])
        for name in sorted(given - known):
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
            raise UserError(f"--params: there is no parameter {name}; {hint}")


class NodeTimesHook:
    """One line per node with its seconds, saving included."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Say how long the function took."""
        logger.info("%s: %.1f s", node.name, time.perf_counter() - self._started.pop(node.name))
