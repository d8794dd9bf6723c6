import logging

from tandem.training.progress import TrainingProgress

EPOCH = {
    "event": "epoch",
    "epoch": 2,
    "epochs": 5,
    "train_loss": 0.34567,
    "val_ndcg@10": 0.25,
    "seconds": 1.5,
    "samples_per_second": 123456.7,
}


def test_a_plain_line_per_epoch_without_a_terminal(caplog, capsys):
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        progress(step(1, 2))
        progress(EPOCH)
        progress({"event": "something else"})
    assert caplog.messages == ["NCF epoch 2/5: loss 0.3457, val_ndcg@10 0.2500, 1.5 s, 123,457 samples/s"]
    assert capsys.readouterr().err == ""


def test_short_epochs_share_a_line_and_the_first_and_last_of_each_phase_have_one(caplog):
    told = [EPOCH | {"epoch": epoch, "epochs": 9, "phase": "search"} for epoch in range(1, 7)]  # stopped early
    told += [EPOCH | {"epoch": epoch, "epochs": 4, "phase": "refit"} for epoch in range(1, 5)]
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        for event in told:
            progress(event)
    said = [message.partition(":")[0] for message in caplog.messages]
    assert said == [
        "NCF epoch 1/9",
        "NCF epoch 6/9",
        "NCF on all training rows, epoch 1/4",
        "NCF on all training rows, epoch 4/4",
    ]


def test_long_epochs_have_a_line_each(caplog, monkeypatch):
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("tandem.training.progress.time.monotonic", lambda: float(next(clock)))
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        for epoch in range(1, 5):
            progress(EPOCH | {"epoch": epoch, "epochs": 9})
    assert [message.partition(":")[0] for message in caplog.messages] == [f"NCF epoch {n}/9" for n in range(1, 5)]


def test_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    event = {
        "event": "progress",
        "epoch": 1,
        "epochs": 2,
        "step": 3,
        "steps": 9,
        "loss": 0.5,
        "samples_per_second": 1e6,
    }
    with TrainingProgress("NCF") as progress:
        progress(event)
        progress._bar.refresh()
    shown = capsys.readouterr().err
    assert "NCF epoch 1/2" in shown
    assert "3/9" in shown
    assert "loss 0.5000, 1,000,000 samples/s" in shown


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("tandem.training.progress.time.monotonic", lambda: self.now)


def step(number: int, epoch: int = 3, **changes):
    event = {"event": "progress", "epoch": epoch, "epochs": 100, "step": number, "steps": 6900, "loss": 0.34567}
    return event | {"samples_per_second": 123456.7} | changes


def test_a_line_a_minute_in_a_long_epoch_without_a_terminal(caplog, capsys, monkeypatch):
    clock = Clock(monkeypatch)
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        for number in range(12, 612, 2):  # 2 steps a second, from the 12th on
            clock.now += 1.0
            progress(step(number))
    assert caplog.messages[0] == (
        "NCF epoch 3/100: step 132/6,900 (2 %), loss 0.3457, 123,457 samples/s; ends in about 56 min, "
        "epoch 100 in about 93.9 h"
    )
    assert [message.split()[4] for message in caplog.messages] == ["132/6,900", "252/6,900", "372/6,900", "492/6,900"]
    assert capsys.readouterr().err == ""


def test_a_line_of_an_epoch_counts_as_news_and_the_last_epoch_ends_the_training(caplog, monkeypatch):
    clock = Clock(monkeypatch)
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        for epoch in (99, 100):
            for number in range(0, 6900, 300):  # an epoch takes 46 s
                clock.now += 2.0
                progress(step(number, epoch))
            progress(EPOCH | {"epoch": epoch, "epochs": 100})
        progress(step(300, 1, phase="refit", epochs=4))
        clock.now += 70.0
        progress(step(600, 1, phase="refit", epochs=4))
    assert [message.partition(",")[0] for message in caplog.messages] == [
        "NCF epoch 99/100: loss 0.3457",
        "NCF epoch 100/100: loss 0.3457",
        "NCF on all training rows",
    ]
    assert caplog.messages[-1].endswith("; ends in about 24 min, epoch 4 in about 1.8 h")


def test_without_any_pace_yet_nothing_is_foretold(caplog, monkeypatch):
    clock = Clock(monkeypatch)
    with caplog.at_level(logging.INFO), TrainingProgress("NCF") as progress:
        progress(step(1))
        clock.now += 61.0
        progress(step(1))
    assert caplog.messages == ["NCF epoch 3/100: step 1/6,900 (0 %), loss 0.3457, 123,457 samples/s"]
