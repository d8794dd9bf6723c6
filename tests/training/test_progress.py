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
