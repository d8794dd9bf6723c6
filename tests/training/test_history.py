import json

from tandem.training.history import with_chosen, write_history, write_tensorboard

HISTORY = [
    {
        "epoch": 1,
        "phase": "search",
        "chosen": True,
        "train_loss": 0.7,
        "val_ndcg@10": 0.1,
        "seconds": 2.0,
        "learning_rate": 0.01,
    },
    {"epoch": 2, "train_loss": 0.5, "val_ndcg@10": None, "seconds": 2.0, "learning_rate": 0.005},
]


def test_history_is_a_list_of_records(tmp_path):
    write_history(HISTORY, tmp_path / "history.json")
    assert json.loads((tmp_path / "history.json").read_text()) == HISTORY


def test_tensorboard_reads_the_event_file(tmp_path):
    """By TensorBoard's own reader of event files."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    history = with_chosen(HISTORY, 1)
    assert [record.get("chosen") for record in history] == [True, None]
    write_tensorboard(history, tmp_path)
    (file,) = tmp_path.iterdir()
    events = list(LegacyEventFileLoader(str(file)).Load())
    values = {(value.tag, event.step): value.simple_value for event in events for value in event.summary.value}
    assert round(values["loss/train", 2], 6) == 0.5
    assert round(values["validation/ndcg@10", 1], 6) == 0.1
    assert ("validation/ndcg@10", 2) not in values
    assert {tag for tag, _ in values} == {
        "loss/train",
        "validation/ndcg@10",
        "training/seconds",
        "training/learning_rate",
    }


def test_the_best_epoch_of_the_search_is_marked():
    phases = ("search", "search", "refit", "refit")
    marked = with_chosen([{"epoch": number + 1, "phase": phase} for number, phase in enumerate(phases)], 2)
    assert [record.get("chosen") for record in marked] == [None, True, None, None]
    assert [record.get("chosen") for record in with_chosen([{"epoch": 1}, {"epoch": 2}], 1)] == [True, None]
