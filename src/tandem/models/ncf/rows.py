"""A rank's part of the NCF data: training rows, side features, and the users that it validates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from scipy import sparse

from tandem.batches.rows import TrainingRows
from tandem.batches.shards import rank_range, read_columns
from tandem.errors import UserError
from tandem.hashing import multiply_shift
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.negatives import (
    Batch,
    FreshNegatives,
    Membership,
    Pairs,
    SharedBatch,
    StoredRows,
    UsersWithSharedNegatives,
)
from tandem.models.ncf.network import SideSizes, SideTable
from tandem.models.ncf.sharing import NOTHING_TO_VALIDATE
from tandem.models.ncf.streamed_pairs import COLUMNS, StreamedPairs
from tandem.storage.locations import Location
from tandem.storage.parquet import parquet_files, read_table


@dataclass(frozen=True)
class LabelledPairs:
    """(user, item) pairs with labels, float32 [rows]."""

    pairs: Pairs
    labels: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pairs)

    def where(self, mask: npt.NDArray[np.bool_]) -> "LabelledPairs":
        """The rows of a mask [rows]."""
        return LabelledPairs(Pairs(self.pairs.users[mask], self.pairs.items[mask]), self.labels[mask])


@dataclass(frozen=True)
class ValidationRows:
    """What this rank validates.

    rows: its share of the held-out rows, with the negatives among them, in memory or streamed. users: int64 [n], its
    share of the users to rank for; seen and relevant: their training and held-out positives, [n, num_items].
    """

    rows: LabelledPairs | StreamedPairs
    users: npt.NDArray[np.int64]
    seen: sparse.csr_matrix
    relevant: sparse.csr_matrix


@dataclass(frozen=True)
class NCFData:
    """What a rank trains on.

    training: what its steps take slices of; stored: its stored rows; validation: what is held out of them, if
    anything; fingerprint: changes with any of the rank's rows, for checkpoints.
    """

    training: TrainingRows[Batch | SharedBatch]
    stored: LabelledPairs
    validation: ValidationRows | None
    fingerprint: int


def load_ncf_data(job: NCFJob, rank: int, size: int, *, hold_out: bool) -> NCFData:
    """Read this rank's rows of the training Parquet; hold_out: leave the validation rows out of the training.

    Raises UserError where there are no rows to train on.
    """
    table = _Table.read(job, rank, size, whole=hold_out or job.parameters.negatives != "stored")
    stored = table.own.where(~table.own_validation) if hold_out else table.own
    training = _training_rows(job, table, stored, rank, size, hold_out=hold_out)
    if len(training) == 0:
        raise UserError(f"rank {rank} of {size} has no training rows in {job.train}: use fewer ranks, or more data")
    return NCFData(
        training,
        stored,
        _validation_rows(job, table, rank, size) if hold_out else None,
        _fingerprint(table.own, table.own_validation),
    )


@dataclass(frozen=True)
class _Table:
    """The training table, read once: a rank's own rows and, where it needs them, the positives of all ranks.

    own_validation: which of its own rows are held out, [rows]; positives_validation: which of the positives.
    """

    own: LabelledPairs
    own_validation: npt.NDArray[np.bool_]
    positives: Pairs
    positives_validation: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, job: NCFJob, rank: int, size: int, *, whole: bool) -> "_Table":
        """Of test rows, those whose user and item have training rows: of others nothing can be learnt."""
        columns = read_columns(job.sources, COLUMNS, *((0, 1) if whole else (rank, size)))
        rows = rank_range(len(columns["label"]), rank, size) if whole else None
        everything = _chosen(job, columns)
        own = everything if rows is None else _chosen(job, {n: v[rows.start : rows.stop] for n, v in columns.items()})
        positive = everything["label"].astype(bool)
        return cls(
            LabelledPairs(_pairs(own), own["label"].astype(np.float32)),
            own["validation"].astype(bool),
            _pairs({name: values[positive] for name, values in everything.items()}),
            everything["validation"].astype(bool)[positive],
        )

    def positives_where(self, *, validation: bool | None) -> Pairs:
        """Of all ranks: those held out, those that are not, or (None) both."""
        if validation is None:
            return self.positives
        wanted = self.positives_validation == validation
        return Pairs(self.positives.users[wanted], self.positives.items[wanted])


def _chosen(job: NCFJob, columns: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    if not job.with_test:
        return columns
    known = (columns["user"] > 0) & (columns["item"] > 0)
    return {name: values[known] for name, values in columns.items()}


def _pairs(columns: dict[str, npt.NDArray[Any]]) -> Pairs:
    return Pairs(columns["user"].astype(np.int32), columns["item"].astype(np.int32))


def side_tables(job: NCFJob) -> tuple[SideTable, SideTable]:
    """Side features of every id, row 0 (unknown) zero."""
    return _side_table(job.user_features, "user", job.users), _side_table(job.item_features, "item", job.items)


def _side_table(path: Location, key: str, sizes: SideSizes) -> SideTable:
    table = _read_table(path, key, sizes.num_ids)
    ids = table.column(key).to_numpy()
    categorical = {name: np.zeros(sizes.num_ids, np.int64) for name in sizes.categorical}
    numeric = {name: np.zeros(sizes.num_ids, np.float32) for name in sizes.numeric}
    for name, values in (categorical | numeric).items():
        values[ids] = table.column(name).to_numpy()
    bags = {name: _bag(table.column(name), ids, sizes.num_ids, size) for name, size in sizes.bags.items()}
    return SideTable(categorical=categorical, bags=bags, numeric=numeric)


def _read_table(path: Location, key: str, num_ids: int) -> pa.Table:
    table = pa.concat_tables(read_table(file) for file in parquet_files(path))
    ids = table.column(key).to_numpy()
    if len(ids) and (ids.min() < 1 or ids.max() >= num_ids):
        raise UserError(f"{path} has ids outside 1..{num_ids - 1}: run the data_processing pipeline again")
    return table


def _bag(column: pa.ChunkedArray, ids: npt.NDArray[np.int64], num_ids: int, size: int) -> npt.NDArray[np.float32]:
    """Each row's bag of ids as shares that sum to 1, [num_ids, size]."""
    lists = column.combine_chunks()
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    bag = np.zeros((num_ids, size), np.float32)
    np.add.at(bag, (np.repeat(ids, lengths), lists.flatten().to_numpy()), 1.0)
    return np.asarray(bag / np.maximum(bag.sum(1, keepdims=True), 1.0), np.float32)


def _training_rows(
    job: NCFJob, table: _Table, stored: LabelledPairs, rank: int, size: int, *, hold_out: bool
) -> TrainingRows[Batch | SharedBatch]:
    parameters = job.parameters
    if parameters.negatives == "stored":
        return StoredRows(stored.pairs, stored.labels, parameters.unknown_rate)
    everything = table.positives_where(validation=False if hold_out else None)
    membership = Membership(everything, job.num_users, job.num_items)
    if parameters.negatives == "shared":
        return _whole_users(job, everything, membership, rank, size)
    known = (stored.labels > 0) & (stored.pairs.users > 0) & (stored.pairs.items > 0)
    return FreshNegatives(
        stored.where(known).pairs,
        parameters.fresh_negatives,
        job.num_items,
        membership.contains,
        parameters.unknown_rate,
    )


def _whole_users(
    job: NCFJob, positives: Pairs, membership: Membership, rank: int, size: int
) -> TrainingRows[SharedBatch]:
    """Every size-th user, with all its positives."""
    matrix = matrix_of(positives, job)
    everyone = np.flatnonzero(np.diff(matrix.indptr)[1:]) + 1
    users = everyone[rank::size]
    mine = matrix[users]
    return UsersWithSharedNegatives(
        users=torch.from_numpy(users.astype(np.int32)),
        offsets=torch.from_numpy(mine.indptr.astype(np.int64)),
        items=torch.from_numpy(mine.indices.astype(np.int32)),
        shared=job.parameters.shared_negatives,
        negative_weight=float(job.parameters.fresh_negatives),
        num_items=job.num_items,
        mean_positives=matrix.nnz / max(1, len(everyone)),
        is_positive=membership.contains,
        unknown_rate=job.parameters.unknown_rate,
    )


def _validation_rows(job: NCFJob, table: _Table, rank: int, size: int) -> ValidationRows:
    held_out = table.positives_where(validation=True)
    users = validated_users(job, np.unique(held_out.users), rank, size)
    seen = matrix_of(table.positives_where(validation=False), job)
    rows = table.own.where(table.own_validation)
    return ValidationRows(rows, users, seen[users], matrix_of(held_out, job)[users])


def validated_users(job: NCFJob, everyone: npt.NDArray[np.integer[Any]], rank: int, size: int) -> npt.NDArray[np.int64]:
    """This rank's share of the users to rank for, drawn from everyone with a held-out positive, ids ascending.

    Raises UserError where there are none.
    """
    if not len(everyone):
        raise UserError(NOTHING_TO_VALIDATE)
    drawn = np.random.default_rng([job.seed, 1]).permutation(everyone)[: job.parameters.validation_users]
    return np.sort(drawn)[rank::size].astype(np.int64)


def matrix_of(pairs: Pairs, job: NCFJob) -> sparse.csr_matrix:
    """1 at each pair, [num_users, num_items]."""
    ones = np.ones(len(pairs), np.int8)
    return sparse.csr_matrix((ones, (pairs.users, pairs.items)), shape=(job.num_users, job.num_items))


def _fingerprint(rows: LabelledPairs, validation: npt.NDArray[np.bool_]) -> int:
    """A sum over rows that changes with any of them, and not with their order."""
    keys = rows.pairs.users.astype(np.uint64) << np.uint64(32) | rows.pairs.items.astype(np.uint64)
    flags = rows.labels.astype(np.uint64) * np.uint64(2) + validation.astype(np.uint64)
    return int(multiply_shift(keys, 29, add=flags).sum(dtype=np.uint64))
