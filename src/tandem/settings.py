"""Kedro's settings."""

from tandem.catalog_hook import CatalogHook
from tandem.config_loader import ConfigLoader
from tandem.end_of_run import EndOfRunHook
from tandem.hooks import LazySparkHook, NodeTimesHook, ParametersHook
from tandem.one_run import OneRunHook
from tandem.requirements import RequirementsHook

# Of two that want to be first, the later is: parameters are checked, then the folder is locked. So it is of the others:
# what is not installed is told, then Spark starts.
HOOKS = (
    OneRunHook(),
    ParametersHook(),
    CatalogHook(),
    LazySparkHook(),
    NodeTimesHook(),
    EndOfRunHook(),
    RequirementsHook(),
)

CONFIG_LOADER_CLASS = ConfigLoader
# Giving this replaces the default as a whole. "soft": an environment changes single keys of a block, not all of it.
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft"},
    "config_patterns": {
        "spark": ["spark*", "spark*/**"],
        # Kedro's own, and the page that tandem describe writes.
        "parameters": ["parameters*", "parameters*/**", "**/parameters*", "tables*"],
    },
}
