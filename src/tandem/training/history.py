"""What is kept of every epoch: ``history.json`` and TensorBoard's event files."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

Record = dict[str, float | int | str | None]
"""epoch (from 1, through all phases), phase (search, refit or publish), train_loss, val_..., learning_rate, batch_size,
steps, seconds, samples, samples_per_second (all ranks together). The best epoch of the search alone has ``chosen``:
true."""


def write_history(history: Sequence[Record], path: Path) -> None:
    """A JSON list, one record per epoch."""
    path.write_text(json.dumps(list(history), indent=2) + "\n")


def with_chosen(history: Sequence[Record], epoch: int) -> list[Record]:
    """The records, that of the search's best epoch with ``chosen``: true."""
    return [
        record | ({"chosen": True} if record["epoch"] == epoch and record.get("phase", "search") == "search" else {})
        for record in history
    ]


def write_tensorboard(history: Sequence[Record], folder: Path) -> None:
    """One event file with a scalar per field and epoch.

    Uses the format's own messages and not a SummaryWriter, which would import TensorFlow into a rank of PyTorch.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "events.out.tfevents.0.tandem").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
        for record in history:
            values = [
                Summary.Value(tag=_tag(name), simple_value=float(value))
                for name, value in record.items()
                if name not in ("epoch", "chosen") and isinstance(value, int | float)
            ]
            event = Event(wall_time=time.time(), step=int(record["epoch"] or 0), summary=Summary(value=values))
            writer.write(event.SerializeToString())


def _tag(name: str) -> str:
    if name == "train_loss":
        return "loss/train"
    if name.startswith("val_"):
        return "validation/" + name.removeprefix("val_")
    return "training/" + name
