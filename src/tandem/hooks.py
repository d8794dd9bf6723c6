"""Kedro hooks: Spark's configuration without Spark, parameters checked, and a line per node."""

import difflib
import logging
import os
import shlex
import sys
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
        # Spark's own default is whatever python3 is first on PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


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
