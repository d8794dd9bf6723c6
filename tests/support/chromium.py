"""A headless Chromium for a test, spoken to over a pipe in its DevTools protocol: no port and no package is needed."""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # does not start as root otherwise; it sees a page of ours alone
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1600,1000",
    "--remote-debugging-pipe",  # commands are read from descriptor 3, answers written to 4
    "about:blank",
)


def find_chromium() -> str | None:
    """The program, or None where there is none."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Page:
    """A page, and what it answers to JavaScript."""

    def __init__(self, commands: int, answers: int, seconds: float) -> None:
        self._commands, self._answers, self._seconds = commands, answers, seconds
        self._received, self._last, self._session = b"", 0, ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, address: str) -> None:
        """Go to an address."""
        self._call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, as JSON."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The first value of an expression that is not empty or 0; fails after the seconds of this browser."""
        deadline = time.monotonic() + self._seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"not within {self._seconds} s: {expression}"
            time.sleep(0.2)
        return value

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        os.write(self._commands, json.dumps(message | self._addressed()).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _addressed(self) -> dict[str, str]:
        return {"sessionId": self._session} if self._session else {}

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], self._seconds)
            content = os.read(self._answers, 1 << 16) if ready else b""
            assert content, "the browser does not answer"
            self._received += content
        message, _, self._received = self._received.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def chromium(program: str, profile: Path, seconds: float = 120.0) -> Iterator[Page]:
    """A page in a browser of its own, which is gone afterwards with all its processes; profile: an empty folder."""
    from_us, to_us = os.pipe(), os.pipe()
    far = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (from_us[0], to_us[1])]  # never 3 or 4 themselves
    os.close(from_us[0])
    os.close(to_us[1])
    with (profile / "log").open("wb") as log:
        inherited = [(far[0], 3), (far[1], 4), (log.fileno(), 1), (log.fileno(), 2)]
        process = os.posix_spawn(
            program,
            [program, *OPTIONS[:-1], f"--user-data-dir={profile}", OPTIONS[-1]],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, its) for ours, its in inherited],
            setpgroup=0,
        )
    for end in far:
        os.close(end)
    try:
        yield Page(from_us[1], to_us[0], seconds)
    finally:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(from_us[1])
        os.close(to_us[0])
