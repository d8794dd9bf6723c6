"""What a training takes slices of, whatever a batch of it is."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

Batch_co = TypeVar("Batch_co", covariant=True)


class EpochKey(NamedTuple):
    """What every draw of an epoch on a rank is made from, so that a resumed run draws the same."""

    seed: int
    epoch: int
    rank: int


class TrainingRows(Protocol[Batch_co]):
    """A rank's rows to train on, in memory or streamed."""

    @property
    def unit(self) -> str:
        """What a row is, in the plural: "training rows", "users"."""
        ...

    @property
    def samples_per_row(self) -> float:
        """Samples that a row stands for, such as a positive with its negatives; on average over all ranks' rows."""
        ...

    @property
    def weight_per_row(self) -> float:
        """What the losses of a row's samples weigh together, on average over all ranks' rows."""
        ...

    def __len__(self) -> int: ...

    def epoch(self, key: EpochKey) -> Callable[[slice], Batch_co]:
        """A new order of all rows; the result gives the batch of a slice of it, for slices in sequence."""
        ...

    def describe(self) -> str:
        """How they are streamed, for the log; empty for rows in memory."""
        ...
