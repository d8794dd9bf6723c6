import numpy as np
import pytest
import torch

from tandem.batches.rows import EpochKey
from tandem.models.ncf import negatives as interactions
from tandem.models.ncf.negatives import FreshNegatives, Membership, Pairs, StoredRows, drop_some_ids

USERS, ITEMS = 30, 20


@pytest.fixture
def positives() -> Pairs:
    rng = np.random.default_rng(0)
    keys = np.unique(rng.integers(0, (USERS - 1) * (ITEMS - 1), 200))
    return Pairs((keys // (ITEMS - 1) + 1).astype(np.int32), (keys % (ITEMS - 1) + 1).astype(np.int32))


def all_batches(rows, seed: int, epoch: int = 0, rank: int = 0):
    batch = rows.epoch(EpochKey(seed, epoch, rank))
    parts = [batch(slice(start, start + 16)) for start in range(0, len(rows), 16)]
    return tuple(torch.cat(columns) for columns in zip(*parts, strict=True))


def test_stored_rows_come_once_an_epoch_in_an_order_of_their_own(positives):
    rows = StoredRows(positives, np.arange(len(positives), dtype=np.float32))
    users, items, labels = all_batches(rows, seed=1)
    assert sorted(labels.tolist()) == list(range(len(positives)))
    order = labels.long().numpy()
    assert (positives.users[order] == users.numpy()).all()
    assert (positives.items[order] == items.numpy()).all()
    again, other_epoch, other_rank = (all_batches(rows, 1, epoch, rank)[2] for epoch, rank in ((0, 0), (1, 0), (0, 1)))
    assert torch.equal(again, labels)
    assert not torch.equal(other_epoch, labels)
    assert not torch.equal(other_rank, labels)


@pytest.mark.parametrize("max_cells", [1 << 28, 1], ids=["one byte a cell", "sorted keys"])
def test_fresh_negatives_are_real_items_and_never_positives(positives, max_cells, monkeypatch):
    monkeypatch.setattr(interactions, "MAX_CELLS", max_cells)
    membership = Membership(positives, USERS, ITEMS)
    rows = FreshNegatives(positives, 6, ITEMS, membership.contains)
    users, items, labels = all_batches(rows, seed=2)
    taken = set(zip(positives.users.tolist(), positives.items.tolist(), strict=True))
    assert items.shape == labels.shape == (len(positives), 7)
    assert items.min() >= 1
    assert items.max() < ITEMS
    assert {(u, i) for u, i in zip(users.tolist(), items[:, 0].tolist(), strict=True)} == taken
    drawn = {(u, i) for u, row in zip(users.tolist(), items[:, 1:].tolist(), strict=True) for i in row}
    assert not drawn & taken
    assert labels[:, 0].min() == 1
    assert labels[:, 1:].max() == 0


def test_fresh_negatives_differ_between_epochs_and_repeat_with_the_seed(positives):
    rows = FreshNegatives(positives, 3, ITEMS, Membership(positives, USERS, ITEMS).contains)
    first, same, other = (all_batches(rows, 5, epoch)[1] for epoch in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_user_who_has_everything_does_not_hang():
    everything = Pairs(np.ones(ITEMS - 1, np.int32), np.arange(1, ITEMS, dtype=np.int32))
    rows = FreshNegatives(everything, 4, ITEMS, Membership(everything, 2, ITEMS).contains)
    assert all_batches(rows, seed=1)[1].shape == (ITEMS - 1, 5)


def test_membership_of_pairs_beyond_the_last_key(positives, monkeypatch):
    monkeypatch.setattr(interactions, "MAX_CELLS", 1)
    membership = Membership(Pairs(np.array([1], np.int32), np.array([1], np.int32)), USERS, ITEMS)
    found = membership.contains(torch.tensor([0, 1, 29]), torch.tensor([0, 1, 19]))
    assert found.tolist() == [False, True, False]


def test_ids_are_forgotten_at_the_rate_asked_for():
    ids = torch.ones(10_000, dtype=torch.int32)
    drop_some_ids(ids, 0.05, torch.Generator().manual_seed(0))
    assert 450 < int((ids == 0).sum()) <= 500
