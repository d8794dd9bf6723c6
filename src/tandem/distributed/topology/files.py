"""Files of the kernel, each of which may be missing or odd: containers hide some, virtual machines invent some."""

import re
from pathlib import Path

from tandem.distributed.topology.cpu_lists import parse_cpu_list


def read(path: Path) -> str | None:
    """The stripped text; None when it cannot be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def read_int(path: Path) -> int | None:
    """A whole number; None for anything else."""
    text = read(path)
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None


def read_list(path: Path) -> tuple[int, ...] | None:
    """A list of CPUs, an empty one for a missing file; None for what is no such list."""
    try:
        return parse_cpu_list(read(path) or "")
    except ValueError:
        return None
