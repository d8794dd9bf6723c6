"""Puts this folder on the path: the hand-written trees are imported here, the rank modules by the ranks."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No process of a launch in the test's folder outlives the test."""
    from launches import living

    yield
    assert living(tmp_path) == []
