"""Asking programs what they are: all that one prints, within a time."""

import os
import signal
import subprocess
from collections.abc import Mapping

SECONDS_TO_ANSWER = 10


def output_of(command: list[str], environ: Mapping[str, str] | None = None, seconds: float = SECONDS_TO_ANSWER) -> str:
    """Return all that the command prints; when it takes too long, end it with all its children and say that."""
    try:
        child = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return str(error)
    try:
        return child.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.communicate()[0] + f"\nno answer within {seconds:.0f} s"
