"""Applies unified diffs, exactly: a patch that fits only nearly must fail, and not every machine has `patch`."""

import re
from pathlib import Path

HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


class PatchError(Exception):
    """A patch that does not fit the file it names."""


def apply_patch(patch: Path, root: Path) -> list[Path]:
    """Apply every file section of `patch` (paths with an ``a/`` or ``b/`` prefix) below `root`.

    Returns the files changed. Raises PatchError, naming the patch, the file and the line, when a context line differs.
    """
    changed = []
    for name, hunks in _sections(patch.read_text()).items():
        target = root / name
        if not target.is_file():
            raise PatchError(f"{patch.name}: no file {name}")
        lines = target.read_text().splitlines(keepends=True)
        for start, body in reversed(hunks):
            _apply_hunk(lines, start, body, where=f"{patch.name}: {name}")
        target.write_text("".join(lines))
        changed.append(target)
    return changed


def _sections(text: str) -> dict[str, list[tuple[int, list[str]]]]:
    """Return, per file, its hunks as (first line of the old text from 1, lines with their mark)."""
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    hunks: list[tuple[int, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("+++ "):
            hunks = sections.setdefault(line[4:].split("/", 1)[1], [])
        elif match := HUNK.match(line):
            hunks.append((int(match[1]), []))
        elif hunks and not line.startswith("--- "):
            hunks[-1][1].append(line or " ")
    return sections


def _apply_hunk(lines: list[str], start: int, body: list[str], where: str) -> None:
    old = [line[1:] for line in body if line[0] in " -"]
    new = [line[1:] for line in body if line[0] in " +"]
    found = [line.rstrip("\n") for line in lines[start - 1 : start - 1 + len(old)]]
    for offset, expected in enumerate(old):
        if offset >= len(found) or found[offset] != expected:
            raise PatchError(f"{where}, line {start + offset}: expected {expected!r}")
    lines[start - 1 : start - 1 + len(old)] = [line + "\n" for line in new]
