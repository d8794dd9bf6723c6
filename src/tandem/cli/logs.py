"""What the commands log: our own lines and everybody's warnings, without the tools' talk to each other."""

import logging.config
import os
import warnings
from typing import Any

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
