"""Files that may not be read, for tests that root runs too, whom no permission keeps out."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def refuse(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening this file in this process fails from now on."""
    opened = Path.open

    def open_(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == file:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)
