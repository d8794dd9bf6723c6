"""The ``tandem`` command, also as ``python -m tandem``."""

import logging
import os
import sys
import traceback


def main() -> None:
    """Import what the command needs without Kedro's word on its logging configuration, and start it."""
    logging.disable(logging.INFO)
    try:
        from tandem import cli
    except Exception as error:
        if not _met_by_kedros_logging(error):
            raise
        place = os.environ.get("KEDRO_LOGGING_CONFIG") or "conf/logging.yml"
        sys.exit(f"Error: the logging configuration {place} cannot be used: {' '.join(str(error).split())}")

    logging.disable(logging.NOTSET)
    cli.main()


def _met_by_kedros_logging(error: Exception) -> bool:
    """Kedro configures logging as it is imported, from a file of the user's, whose faults may be of any kind."""
    return any("_ProjectLogging" in frame.line for frame in traceback.extract_tb(error.__traceback__) if frame.line)


if __name__ == "__main__":
    main()
