"""The training rows of NCF in a rank's memory: stored rows shuffled, or negatives drawn afresh."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tandem.batches.rows import EpochKey
from tandem.batches.torch_streams import epoch_streams

IdArray = npt.NDArray[np.int32]
# Above this many (user, item) cells, membership is looked up in sorted keys instead of one byte a cell.
MAX_CELLS = 1 << 28
REDRAWS = 16


class Batch(NamedTuple):
    """Rows of one step on one rank.

    users: int32 [B]; items: int32 [B], or [B, 1 + k] with the positive first; labels: float32, broadcasts to items.
    """

    users: Tensor
    items: Tensor
    labels: Tensor


class SharedBatch(NamedTuple):
    """Whole users of one step on one rank, with negatives that they share.

    users: int32 [B]; positive_rows: index into users, int64 [P]; positive_items: int32 [P]; negatives: int32 [K];
    weights: of each user's negatives, float32 [B, K], 0 where one is a positive of the user.
    """

    users: Tensor
    positive_rows: Tensor
    positive_items: Tensor
    negatives: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Pairs:
    """(user, item) pairs: two int32 arrays [rows]."""

    users: IdArray
    items: IdArray

    def __len__(self) -> int:
        return len(self.users)


class Membership:
    """Which (user, item) pairs belong to a set; for redrawing negatives that are positives."""

    def __init__(self, pairs: Pairs, num_users: int, num_items: int) -> None:
        self._num_items = num_items
        keys = pairs.users.astype(np.int64) * num_items + pairs.items
        self._cells: Tensor | None = None
        if num_users * num_items <= MAX_CELLS:
            self._cells = torch.zeros(num_users * num_items, dtype=torch.bool)
            self._cells[torch.from_numpy(keys)] = True
        else:
            self._keys = torch.from_numpy(np.unique(keys))

    def contains(self, users: Tensor, items: Tensor) -> Tensor:
        """Bool tensor of the broadcast shape of users and items (int64)."""
        keys = users * self._num_items + items
        if self._cells is not None:
            return self._cells[keys]
        places = torch.searchsorted(self._keys, keys).clamp_max_(len(self._keys) - 1)
        return self._keys[places] == keys


def drop_some_ids(ids: Tensor, rate: float, generator: torch.Generator) -> None:
    """Set about this share of the ids to 0 (unknown), in place, so that the model learns to meet it."""
    count = round(rate * ids.numel())
    if count:
        ids.view(-1)[torch.randint(ids.numel(), (count,), generator=generator)] = 0


@dataclass(frozen=True)
class StoredRows:
    """Rows with stored labels, in a new order each epoch."""

    unit: ClassVar[str] = "training rows"
    samples_per_row: ClassVar[float] = 1.0
    weight_per_row: ClassVar[float] = 1.0

    pairs: Pairs
    labels: npt.NDArray[np.float32]
    unknown_rate: float = 0.0

    def __len__(self) -> int:
        return len(self.pairs)

    def describe(self) -> str:
        """Nothing is streamed."""
        return ""

    def epoch(self, key: EpochKey) -> Callable[[slice], Batch]:
        """Shuffle all columns once, so that a batch is a slice of contiguous memory."""
        generator = epoch_streams(key).own
        order = torch.randperm(len(self.pairs), generator=generator)
        users, items = torch.from_numpy(self.pairs.users)[order], torch.from_numpy(self.pairs.items)[order]
        labels = torch.from_numpy(self.labels)[order]
        drop_some_ids(users, self.unknown_rate, generator)
        drop_some_ids(items, self.unknown_rate, generator)
        return lambda rows: Batch(users[rows], items[rows], labels[rows])


@dataclass(frozen=True)
class FreshNegatives:
    """Positives with ``k`` negatives each, drawn anew every epoch, uniformly from the known items (ids from 1).

    A draw that is one of the user's positives is drawn again, ``REDRAWS`` times at most: for a user who has rated
    nearly everything a few may remain.
    """

    unit: ClassVar[str] = "training rows"

    positives: Pairs
    k: int
    num_items: int
    is_positive: Callable[[Tensor, Tensor], Tensor]
    unknown_rate: float = 0.0

    def __len__(self) -> int:
        return len(self.positives)

    @property
    def samples_per_row(self) -> float:
        """The positive and its negatives."""
        return 1.0 + self.k

    @property
    def weight_per_row(self) -> float:
        """Every pair weighs the same."""
        return 1.0 + self.k

    def describe(self) -> str:
        """Nothing is streamed."""
        return ""

    def epoch(self, key: EpochKey) -> Callable[[slice], Batch]:
        """Shuffle the positives; negatives are drawn batch by batch, which bounds the memory."""
        generator = epoch_streams(key).own
        order = torch.randperm(len(self.positives), generator=generator)
        users, items = torch.from_numpy(self.positives.users)[order], torch.from_numpy(self.positives.items)[order]
        labels = torch.zeros(1 + self.k)
        labels[0] = 1.0

        def batch(rows: slice) -> Batch:
            batch_users = users[rows]
            negatives = self._draw(batch_users.long(), generator)
            batch_items = torch.cat([items[rows].unsqueeze(1), negatives], 1)
            drop_some_ids(batch_users, self.unknown_rate, generator)
            drop_some_ids(batch_items, self.unknown_rate, generator)
            return Batch(batch_users, batch_items, labels.expand_as(batch_items))

        return batch

    def _draw(self, users: Tensor, generator: torch.Generator) -> Tensor:
        shape = (len(users), self.k)
        drawn = torch.randint(1, self.num_items, shape, generator=generator)
        for _ in range(REDRAWS):
            rows, columns = self.is_positive(users.unsqueeze(1), drawn).nonzero(as_tuple=True)
            if not len(rows):
                break
            drawn[rows, columns] = torch.randint(1, self.num_items, (len(rows),), generator=generator)
        return drawn.int()


@dataclass(frozen=True)
class UsersWithSharedNegatives:
    """Whole users with all their positives, and negatives drawn once for all users of a step.

    A dense block of scores, users x negatives, is a matrix product where single pairs are gathers, so far more
    negatives can be afforded. The negatives of a user, less its positives, weigh ``negative_weight`` times its
    positives together.

    users: int32 [n], of this rank; offsets: int64 [n + 1] into items: int32, their positives; mean_positives: of a
    user, over all ranks.
    """

    unit: ClassVar[str] = "users"

    users: Tensor
    offsets: Tensor
    items: Tensor
    shared: int
    negative_weight: float
    num_items: int
    mean_positives: float
    is_positive: Callable[[Tensor, Tensor], Tensor]
    unknown_rate: float = 0.0

    @property
    def samples_per_row(self) -> float:
        """A user's positives and the shared negatives."""
        return self.mean_positives + self.shared

    @property
    def weight_per_row(self) -> float:
        """Each positive weighs 1, and its share of the negatives ``negative_weight``."""
        return self.mean_positives * (1.0 + self.negative_weight)

    def __len__(self) -> int:
        return len(self.users)

    def describe(self) -> str:
        """Nothing is streamed."""
        return ""

    def epoch(self, key: EpochKey) -> Callable[[slice], SharedBatch]:
        """Shuffle the users; negatives are drawn step by step, the same on all ranks."""
        streams = epoch_streams(key)
        order = torch.randperm(len(self.users), generator=streams.own)
        counts = self.offsets.diff()

        def batch(rows: slice) -> SharedBatch:
            chosen = order[rows]
            count = counts[chosen]
            positive_rows = torch.repeat_interleave(torch.arange(len(chosen)), count)
            within = torch.arange(len(positive_rows)) - (count.cumsum(0) - count)[positive_rows]
            items = self.items[self.offsets[chosen][positive_rows] + within]
            negatives = torch.randint(1, self.num_items, (self.shared,), generator=streams.common)
            users = self.users[chosen]
            weights = self._weights(users.long(), negatives, count)
            for ids in (users, items, negatives):
                drop_some_ids(ids, self.unknown_rate, streams.own)
            return SharedBatch(users, positive_rows, items, negatives.int(), weights)

        return batch

    def _weights(self, users: Tensor, negatives: Tensor, count: Tensor) -> Tensor:
        allowed = (~self.is_positive(users.unsqueeze(1), negatives)).float()
        per_negative = self.negative_weight * count / allowed.sum(1).clamp_min(1.0)
        return allowed * per_negative.unsqueeze(1)
