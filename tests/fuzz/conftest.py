"""How much is tried: ``pytest tests/fuzz --fuzz-tables 2000 --fuzz-seed 1``."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("fuzz", "odd logs for the readers")
    group.addoption("--fuzz-tables", type=int, default=40, help="how many logs are tried")
    group.addoption("--fuzz-seed", type=int, default=0, help="the first log's seed; each has one of its own")
