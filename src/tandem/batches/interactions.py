"""The training rows of NCF in a rank's memory: stored rows shuffled, or negatives drawn afresh."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

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


class Rows(Protocol):
    """Training rows of a rank."""

    def __len__(self) -> int: ...

    def epoch(self, generator: torch.Generator) -> Callable[[slice], Batch]:
        """A new order of the rows; the result gives the batch of a slice of that order, for slices in sequence."""
        ...


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


def epoch_generator(seed: int, epoch: int, rank: int) -> torch.Generator:
    """The random stream of a rank in an epoch; it depends on nothing else, so a resumed run draws the same."""
    state = np.random.SeedSequence([seed, epoch, rank]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def forget_ids(ids: Tensor, rate: float, generator: torch.Generator) -> None:
    """Set about this share of the ids to 0 (unknown), in place, so that the model learns to meet it."""
    count = round(rate * ids.numel())
    if count:
        ids.view(-1)[torch.randint(ids.numel(), (count,), generator=generator)] = 0


@dataclass(frozen=True)
class StoredRows:
    """Rows with stored labels, in a new order each epoch."""

    pairs: Pairs
    labels: npt.NDArray[np.float32]
    unknown_rate: float = 0.0

    def __len__(self) -> int:
        return len(self.pairs)

    def epoch(self, generator: torch.Generator) -> Callable[[slice], Batch]:
        """Shuffle all columns once, so that a batch is a slice of contiguous memory."""
        order = torch.randperm(len(self.pairs), generator=generator)
        users, items = torch.from_numpy(self.pairs.users)[order], torch.from_numpy(self.pairs.items)[order]
        labels = torch.from_numpy(self.labels)[order]
        forget_ids(users, self.unknown_rate, generator)
        forget_ids(items, self.unknown_rate, generator)
        return lambda rows: Batch(users[rows], items[rows], labels[rows])


@dataclass(frozen=True)
class FreshNegatives:
    """Positives with ``k`` negatives each, drawn anew every epoch, uniformly from the known items (ids from 1).

    A draw that is one of the user's positives is drawn again, ``REDRAWS`` times at most: for a user who has rated
    nearly everything a few may remain.
    """

    positives: Pairs
    k: int
    num_items: int
    is_positive: Callable[[Tensor, Tensor], Tensor]
    unknown_rate: float = 0.0

    def __len__(self) -> int:
        return len(self.positives)

    def epoch(self, generator: torch.Generator) -> Callable[[slice], Batch]:
        """Shuffle the positives; negatives are drawn batch by batch, which bounds the memory."""
        order = torch.randperm(len(self.positives), generator=generator)
        users, items = torch.from_numpy(self.positives.users)[order], torch.from_numpy(self.positives.items)[order]
        labels = torch.zeros(1 + self.k)
        labels[0] = 1.0

        def batch(rows: slice) -> Batch:
            batch_users = users[rows]
            negatives = self._draw(batch_users.long(), generator)
            batch_items = torch.cat([items[rows].unsqueeze(1), negatives], 1)
            forget_ids(batch_users, self.unknown_rate, generator)
            forget_ids(batch_items, self.unknown_rate, generator)
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
