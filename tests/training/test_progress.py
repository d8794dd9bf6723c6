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
        progress({"event": "progress", "epoch": 2, "epochs": 5, "step": 1, "steps": 9, "loss": 1.0})
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
