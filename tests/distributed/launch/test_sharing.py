"""The number of ranks is one that can share the work: lowered where it is the launcher's to choose, else refused."""

import logging
from pathlib import Path

import pytest
from launches import scenarios

from tandem.errors import UserError


class Work:
    """Fewer than three can share it."""

    def refusal(self, ranks: int) -> str | None:
        return f"{ranks} ranks cannot share 2 sheep" if ranks > 2 else None

    def most(self, ranks: int) -> int:
        return min(ranks, 2)


class AloneWork(Work):
    """It cannot be shared."""

    def refusal(self, ranks: int) -> str | None:
        return f"{ranks} ranks cannot share 1 sheep" if ranks > 1 else None

    def most(self, ranks: int) -> int:
        return 1


@pytest.mark.parametrize(
    ("asked", "name"), [({"num_ranks": 3}, "num_ranks"), ({"rank_cpus": ("0", "1", "2")}, "rank_cpus")]
)
def test_a_given_number_that_is_too_large_is_refused_before_anything_is_made(
    tmp_path: Path, asked: dict[str, object], name: str
) -> None:
    with pytest.raises(UserError) as refused:
        scenarios(tmp_path)({}, sharing=Work(), **asked)
    assert str(refused.value) == f"distributed.{name}: 3 ranks cannot share 2 sheep; use at most 2"
    assert not list(tmp_path.iterdir())


def test_the_launchers_own_number_is_lowered_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the machine has, the plan for it is of two ranks here."""
    monkeypatch.setattr("tandem.distributed.binding.planning.auto_ranks", lambda *_, **__: 2)
    with caplog.at_level(logging.INFO, "tandem"):
        result = scenarios(tmp_path)({}, sharing=AloneWork(), num_ranks="auto")
    assert len(result.ranks) == 1
    assert "1 rank will train: 2 ranks cannot share 1 sheep" in caplog.messages
