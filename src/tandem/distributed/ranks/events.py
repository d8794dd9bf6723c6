"""What a rank tells its launcher: the events that both sides know, each with its fields, and their form in JSON.

A rank module may send events of its own beside these, as mappings with the key ``event``; who gave ``launch`` an
``on_event`` gets them as they were sent.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

Level = Literal["info", "warning"]
AnyEvent = TypeVar("AnyEvent", bound="Event")
_VALIDATION = "val_"


@dataclass(frozen=True)
class Event:
    """One thing that a rank reports; ``kind`` is its ``event`` in JSON."""

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """The event's kind and fields; a field that is None is left out."""
        return {"event": self.kind, **{name: value for name, value in asdict(self).items() if value is not None}}

    @classmethod
    def from_json(cls: type[AnyEvent], content: Mapping[str, Any]) -> AnyEvent:
        """The event of ``to_json``'s object; keys that are no field are passed over. Raises TypeError without one."""
        return cls(**{one.name: content[one.name] for one in fields(cls) if one.name in content})


@dataclass(frozen=True)
class RankRow:
    """Where a rank runs in fact, as it verified it from inside: a row of ``ranks.json``.

    Attributes:
        rank: its number.
        host: by its own name.
        cpus: the CPUs that it may run on.
        numa_domains: of these CPUs.
        threads: computing threads.
        horovod_cpu: the planned CPU of Horovod's own thread; None: any of the rank's.
        bound_by: "mpirun", "launcher", "rank" or "nobody".
        mpi: whose launcher started it; None without MPI.
    """

    rank: int
    host: str
    cpus: list[int]
    numa_domains: list[int]
    threads: int
    horovod_cpu: int | None
    bound_by: str
    mpi: str | None

    def to_json(self) -> dict[str, Any]:
        """All columns, those that are None too."""
        return asdict(self)


@dataclass(frozen=True)
class Started(Event):
    """The rank runs, on these CPUs; no framework is imported yet. ``pid``: of its process on its host."""

    kind: ClassVar[str] = "started"
    pid: int
    row: RankRow

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Started":
        """The event of ``to_json``'s object. Raises KeyError or TypeError where a field or a column is missing."""
        return cls(content["pid"], RankRow(**content["row"]))


@dataclass(frozen=True)
class Connected(Event):
    """The rank has met the others."""

    kind: ClassVar[str] = "connected"


@dataclass(frozen=True)
class Heartbeat(Event):
    """The rank works: it took part in a collective, used a CPU or moved bytes."""

    kind: ClassVar[str] = "heartbeat"


@dataclass(frozen=True)
class Finished(Event):
    """The rank has done its work and left the others."""

    kind: ClassVar[str] = "finished"


@dataclass(frozen=True)
class Message(Event):
    """A line for the user, which the launcher logs."""

    kind: ClassVar[str] = "message"
    message: str
    level: Level = "info"


@dataclass(frozen=True)
class Progress(Event):
    """How far an epoch is.

    Attributes:
        epoch: from 1, out of ``epochs``.
        step: from 1, out of ``steps``.
        loss: the mean over the epoch's rows so far.
        samples_per_second: of all ranks together.
        phase: where a training has several.
    """

    kind: ClassVar[str] = "progress"
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    samples_per_second: float
    phase: str | None = None


@dataclass(frozen=True)
class Epoch(Event):
    """An epoch is over. In JSON its validation metrics stand beside the other fields, as ``val_`` and their names.

    Attributes:
        epoch: from 1, out of ``epochs``.
        train_loss: the mean over its rows.
        seconds: without validation.
        samples_per_second: of all ranks together.
        phase: where a training has several.
        learning_rate: of the last step.
        samples: of all ranks together.
        batch_size: rows of a step of all ranks together.
        steps: of each rank.
        validation: metric -> value; None where it is undefined on the held-out rows.
    """

    kind: ClassVar[str] = "epoch"
    epoch: int
    epochs: int
    train_loss: float
    seconds: float
    samples_per_second: float
    phase: str | None = None
    learning_rate: float | None = None
    samples: int | None = None
    batch_size: int | None = None
    steps: int | None = None
    validation: Mapping[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The kind, the fields that are not None, and all metrics."""
        content = super().to_json()
        metrics = content.pop("validation")
        return content | {f"{_VALIDATION}{metric}": value for metric, value in metrics.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Epoch":
        """Of an event, or of a record of the history with ``epochs``. Raises TypeError where a field is missing."""
        metrics = {
            name.removeprefix(_VALIDATION): value for name, value in content.items() if name.startswith(_VALIDATION)
        }
        return super().from_json({**content, "validation": metrics})


Emit = Callable[[Event | Mapping[str, Any]], None]
"""Sends an event to the launcher."""

_KINDS: Mapping[str, type[Event]] = {
    kind.kind: kind for kind in (Started, Connected, Heartbeat, Finished, Message, Progress, Epoch)
}


def as_json(event: Event | Mapping[str, Any]) -> dict[str, Any]:
    """An event, or a mapping that a rank module sends as it is, as one JSON object."""
    return event.to_json() if isinstance(event, Event) else dict(event)


def parse(content: Mapping[str, Any]) -> Event | None:
    """The event that a JSON object is; None for a rank module's own.

    Raises:
        ValueError: a field of a known kind is missing.
    """
    kind = _KINDS.get(content.get("event", ""))
    if kind is None:
        return None
    try:
        return kind.from_json(content)
    except (KeyError, TypeError) as error:
        raise ValueError(f"an event {kind.kind!r} without all of its fields: {dict(content)}") from error
