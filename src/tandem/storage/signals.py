"""Signals that ask a process to end."""

import signal
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asked this process to end: whoever unwinds on Ctrl-C unwinds, whichever it was."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heeded() -> list[signal.Signals]:
    """Those that this process does not ignore (as one under nohup ignores SIGHUP), and that Python handles."""
    return [number for number in ENDING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
