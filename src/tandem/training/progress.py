"""What a user sees of a running training: a line per epoch, or per many short ones, and in a long one how far it is:
a bar on a terminal, and elsewhere a line a minute."""

import logging
import math
import sys
import time
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from tandem.distributed.ranks.events import Epoch, Progress, parse

logger = logging.getLogger(__name__)
# Between two lines, at least; a hundred epochs of a third of a second would bury everything else.
LINE_SECONDS = 2.0
ROWS_OF_PHASE = {"refit": " on all training rows,", "publish": " on all rows, test rows too,"}
# Of an epoch that takes longer, a line as often.
NEWS_SECONDS = 60.0


@dataclass
class Pace:
    """How fast a phase of a training goes, validation included, from when and where its first progress was heard.

    told_at: when it was last told. Seconds are of the monotonic clock, positions in epochs.
    """

    phase: str | None
    heard_at: float
    position: float
    told_at: float

    def seconds_per_epoch(self, event: Progress, now: float) -> float | None:
        """None where nothing was done since the first progress."""
        done = _position(event) - self.position
        return (now - self.heard_at) / done if done > 0.0 else None


class TrainingProgress:
    """Takes the events of the ranks; use as a context manager, so that the bar is gone at the end, however it ends.

    The first and the last epoch always get a line; all of them stand in ``history.json``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._bar: tqdm[Any] | None = None
        self._unsaid: Epoch | None = None
        self._phase: str | None = None
        self._said_at = -math.inf
        self._pace: Pace | None = None

    def __enter__(self) -> "TrainingProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self._say_what_is_left()

    def __call__(self, sent: dict[str, Any]) -> None:
        """Show one event as a rank sent it; kinds that are not of training are passed over."""
        event = parse(sent)
        if isinstance(event, Progress):
            self._show(event)
        elif isinstance(event, Epoch):
            self._close()
            if event.phase != self._phase:
                self._say_what_is_left()
                self._phase, self._said_at = event.phase, -math.inf
            self._unsaid = event
            if time.monotonic() - self._said_at >= LINE_SECONDS or event.epoch == event.epochs:
                self._say_what_is_left()

    def _say_what_is_left(self) -> None:
        if self._unsaid is not None:
            logger.info("%s", epoch_line(self.name, self._unsaid))
            self._unsaid, self._said_at = None, time.monotonic()

    def _show(self, event: Progress) -> None:
        if not sys.stderr.isatty():
            self._tell(event)
            return
        if self._bar is None:
            title = _title(self.name, event)
            self._bar = tqdm(total=event.steps, desc=title, unit="step", leave=False, dynamic_ncols=True)
        speed = f"{event.samples_per_second:,.0f}"
        self._bar.set_postfix_str(f"loss {event.loss:.4f}, {speed} samples/s", refresh=False)
        self._bar.update(event.step - self._bar.n)

    def _tell(self, event: Progress) -> None:
        now = time.monotonic()
        if self._pace is None or self._pace.phase != event.phase:
            self._pace = Pace(event.phase, now, _position(event), now)
        if now - max(self._said_at, self._pace.told_at) >= NEWS_SECONDS:
            self._say_what_is_left()
            logger.info("%s", progress_line(self.name, event, self._pace.seconds_per_epoch(event, now)))
            self._pace.told_at = now

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def epoch_line(name: str, event: Epoch) -> str:
    """One epoch in one line: loss, validation, speed."""
    parts = [f"loss {event.train_loss:.4f}"]
    parts += [f"val_{metric} {value:.4f}" for metric, value in event.validation.items() if value is not None]
    parts.append(f"{event.seconds:.1f} s, {event.samples_per_second:,.0f} samples/s")
    return f"{_title(name, event)}: " + ", ".join(parts)


def progress_line(name: str, event: Progress, seconds_per_epoch: float | None) -> str:
    """How far an epoch is, how fast it goes, and when it and the last one will end; None: not known yet."""
    step, steps, epochs = event.step, event.steps, event.epochs
    text = (
        f"{_title(name, event)}: step {step:,}/{steps:,} ({100 * step / steps:.0f} %), loss {event.loss:.4f}, "
        f"{event.samples_per_second:,.0f} samples/s"
    )
    if seconds_per_epoch is None:
        return text
    left = event.epoch - _position(event)
    text += f"; ends in about {_in_words(left * seconds_per_epoch)}"
    if event.epoch < epochs:
        text += f", epoch {epochs} in about {_in_words((epochs - _position(event)) * seconds_per_epoch)}"
    return text


def _position(event: Progress) -> float:
    """In epochs since the first one's begin."""
    return event.epoch - 1 + event.step / event.steps


def _in_words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def _title(name: str, event: Epoch | Progress) -> str:
    rows = ROWS_OF_PHASE.get(event.phase or "", "")
    return f"{name}{rows} epoch {event.epoch}/{event.epochs}"
