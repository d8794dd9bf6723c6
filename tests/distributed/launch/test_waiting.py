"""What a user hears of ranks that start, prepare or write for long."""

import logging
from pathlib import Path

import pytest
from launches import scenarios

from tandem.distributed.launch import waiting


@pytest.mark.usefixtures("nothing_is_left")
def test_ranks_that_start_and_that_report_nothing_for_long_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real rank takes longer than a tenth of a second to start, and computes for four without a word."""
    monkeypatch.setattr(waiting, "_TELL_SECONDS", 0.1)
    with caplog.at_level(logging.INFO):
        scenarios(tmp_path)({"what": "compute"}, num_ranks=1)
    told = [message.partition(",")[0] for message in caplog.messages if message.startswith("the ranks")]
    assert list(dict.fromkeys(told)) == [
        "the ranks are starting: 0 of 1 have met",
        "the ranks are between two reports: they validate",
    ]


def test_a_line_a_minute_and_none_where_something_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: clock[0])
    followed = waiting.Waiting()
    with caplog.at_level(logging.INFO):
        for second in range(1, 400):
            clock[0] = float(second)
            followed.tell(2, 2, begun=False)
            if second % 50 == 0 and second < 200:
                followed.heard()  # up to 150
    seconds = [message.rpartition(", for ")[2] for message in caplog.messages]
    assert seconds == ["60 s so far", "120 s so far", "180 s so far", "240 s so far"]
