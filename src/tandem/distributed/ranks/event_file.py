"""A rank's event file: one JSON object a line, written by the rank and followed by the launcher."""

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from tandem.distributed.ranks.events import Event, Heartbeat, Message, as_json

_HEARTBEAT_SECONDS = 1.0


class EventWriter:
    """The rank's end. Until it is opened, as in a process without a launcher, events go nowhere."""

    def __init__(self) -> None:
        self._file: FileIO | None = None
        self._written_at = 0.0

    def open(self, path: Path, flags: int = 0) -> None:
        """From now on append to this file, unbuffered; ``flags``: of ``os.open``, beside those for appending."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | flags, 0o644)
        self._file = FileIO(descriptor, "ab")

    def write(self, event: Event | Mapping[str, Any]) -> None:
        """Append one event. Raises OSError where there is no room for it."""
        if self._file is None:
            return
        self._written_at = time.monotonic()
        line = json.dumps(as_json(event)).encode() + b"\n"
        if self._file.write(line) < len(line):  # the last room there was; the rest would be refused
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)

    def beat(self) -> None:
        """Append a heartbeat where the last event is a second old."""
        if time.monotonic() - self._written_at > _HEARTBEAT_SECONDS:
            self.write(Heartbeat())


@dataclass
class EventReader:
    """The launcher's end; a line is read once it is complete."""

    path: Path
    _offset: int = field(default=0, init=False)

    def read(self) -> Iterator[dict[str, Any]]:
        """The events written since the last call, as they were sent."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        complete = data.rpartition(b"\n")[0]
        if complete:
            self._offset += len(complete) + 1
            yield from (json.loads(line) for line in complete.splitlines())


OF_THIS_PROCESS = EventWriter()
"""A process is one rank, which has one event file."""


def emit(event: Event | Mapping[str, Any]) -> None:
    """Send one event to the launcher; without a launcher (unit tests) it goes nowhere."""
    OF_THIS_PROCESS.write(event)


def say(message: str, *, warning: bool = False) -> None:
    """Have the launcher log a line for the user."""
    emit(Message(message, "warning" if warning else "info"))


def heartbeat() -> None:
    """Tell the launcher that this rank is alive and moving; cheap enough for every step (at most one a second)."""
    OF_THIS_PROCESS.beat()
