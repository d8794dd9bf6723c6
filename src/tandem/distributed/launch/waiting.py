"""What is said while the ranks have nothing to report: that they start, read or write, a line a minute."""

import logging
import time

_log = logging.getLogger(__name__)
_TELL_SECONDS = 60.0


class Waiting:
    """Knows when the ranks last reported something of their own; heartbeats are no reports."""

    def __init__(self) -> None:
        self._heard = self._told = time.monotonic()

    def heard(self) -> None:
        """A rank has reported something that the user sees."""
        self._heard = time.monotonic()

    def tell(self, met: int, ranks: int, *, begun: bool) -> None:
        """Log a line where the last one, or the last report, is a minute old.

        met: ranks that have joined the others; begun: whether any has reported something of its own.
        """
        now = time.monotonic()
        if now - max(self._told, self._heard) < _TELL_SECONDS:
            return
        self._told = now
        if met < ranks:
            text = f"the ranks are starting: {met} of {ranks} have met"
        elif begun:
            text = "the ranks are between two reports: they validate, save or apply what they trained"
        else:
            text = "the ranks have met, and read and prepare their rows"
        _log.info("%s, for %.0f s so far", text, now - self._heard)
