"""The ``tandem`` command, also as ``python -m tandem``."""

import logging


def main() -> None:
    """Import what the command needs without Kedro's word on its logging configuration, and start it."""
    logging.disable(logging.INFO)
    from tandem import cli

    logging.disable(logging.NOTSET)
    cli.main()


if __name__ == "__main__":
    main()
