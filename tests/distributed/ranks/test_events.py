"""What a rank and its launcher say the same of: events and their JSON."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from tandem.distributed.ranks.event_file import EventReader, EventWriter
from tandem.distributed.ranks.events import (
    Connected,
    Epoch,
    Event,
    Finished,
    Heartbeat,
    Message,
    Progress,
    RankRow,
    Started,
    as_json,
    parse,
)

ROW = RankRow(1, "node1", [2, 3], [0], 2, None, "mpirun", "openmpi")
EVENTS: list[Event] = [
    Started(4711, ROW),
    Connected(),
    Heartbeat(),
    Finished(),
    Message("a host is slow", "warning"),
    Message("it begins"),
    Progress(1, 5, 3, 9, 0.5, 1e6),
    Progress(1, 5, 3, 9, 0.5, 1e6, phase="refit"),
    Epoch(1, 5, 0.5, 2.0, 1e6),
    Epoch(1, 5, 0.5, 2.0, 1e6, "search", 0.001, 2_000_000, 512, 9, {"auc": 0.75, "ndcg@10": None}),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_an_event_survives_the_way_through_its_file(event: Event, tmp_path: Path) -> None:
    writer = EventWriter()
    writer.open(tmp_path / "events" / "0.jsonl")
    writer.write(event)
    (sent,) = EventReader(tmp_path / "events" / "0.jsonl").read()
    assert parse(sent) == event


def test_the_keys_are_those_of_the_history_and_of_the_table_of_ranks() -> None:
    epoch = Epoch(1, 5, 0.5, 2.0, 1e6, validation={"auc": 0.75, "recall@10": None})
    assert epoch.to_json() == {
        **{"event": "epoch", "epoch": 1, "epochs": 5, "train_loss": 0.5, "seconds": 2.0, "samples_per_second": 1e6},
        **{"val_auc": 0.75, "val_recall@10": None},
    }
    assert as_json(Message("x")) == {"event": "message", "message": "x", "level": "info"}
    row = as_json(Started(4711, ROW))["row"]
    assert row == asdict(ROW)
    assert row["horovod_cpu"] is None, "a column of every row"


def test_an_epoch_is_a_record_of_the_history_and_how_many_there_are() -> None:
    record = {"epoch": 3, "train_loss": 0.5, "seconds": 2.0, "samples_per_second": 1e6, "val_auc": 0.75, "chosen": True}
    assert Epoch.from_json({"epochs": 5, **record}) == Epoch(3, 5, 0.5, 2.0, 1e6, validation={"auc": 0.75})


def test_a_rank_modules_own_events_pass_as_they_are(tmp_path: Path) -> None:
    own = {"event": "measured", "milliseconds": [1.5, 2.5]}
    assert parse(own) is None
    assert parse({"no": "event"}) is None
    writer = EventWriter()
    writer.open(tmp_path / "0.jsonl")
    writer.write(own)
    assert list(EventReader(tmp_path / "0.jsonl").read()) == [own]


@pytest.mark.parametrize(
    "content", [{"event": "epoch", "epoch": 1}, {"event": "started", "pid": 1}, {"event": "message"}]
)
def test_a_known_event_without_a_field_is_an_error_that_names_it(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"an event '{content['event']}' without all of its fields"):
        parse(content)


def test_a_line_is_read_once_it_is_complete(tmp_path: Path) -> None:
    file, reader = tmp_path / "0.jsonl", EventReader(tmp_path / "0.jsonl")
    assert list(reader.read()) == [], "a rank that has not come as far has no file"
    line = json.dumps(Connected().to_json())
    file.write_text(f"{line}\n{line[:7]}")
    assert [parse(sent) for sent in reader.read()] == [Connected()]
    assert list(reader.read()) == []
    file.write_text(f"{line}\n{line}\n")
    assert [parse(sent) for sent in reader.read()] == [Connected()]


def test_heartbeats_are_a_second_apart_and_none_follows_another_event(tmp_path: Path) -> None:
    writer, reader = EventWriter(), EventReader(tmp_path / "0.jsonl")
    writer.beat()  # without a launcher it goes nowhere
    writer.open(tmp_path / "0.jsonl")
    writer.write(Connected())
    for _ in range(5):
        writer.beat()
    assert [parse(sent) for sent in reader.read()] == [Connected()]
