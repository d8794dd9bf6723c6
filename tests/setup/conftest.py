"""The set-up scripts run before anything is installed and are no package: their folder is put on the path."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "setup"))


@pytest.fixture
def root() -> Path:
    return ROOT
