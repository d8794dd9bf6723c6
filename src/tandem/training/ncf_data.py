"""A rank's part of the NCF data: training rows, side features, and the users that it validates."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy import sparse

from tandem.batches.interactions import FreshNegatives, Membership, Pairs, Rows, StoredRows
from tandem.batches.shards import parquet_files, read_columns
from tandem.errors import UserError
from tandem.models.ncf import SideSizes, SideTable
from tandem.training.jobs import NCFJob

COLUMNS = ("user", "item", "label", "validation")


@dataclass(frozen=True)
class ValidationRows:
    """What this rank validates.

    pairs, labels: its share of the held-out rows, with the negatives among them. users: int64 [n], its share of the
    users to rank for; seen and relevant: their training and held-out positives, [n, num_items].
    """

    pairs: Pairs
    labels: npt.NDArray[np.float32]
    users: npt.NDArray[np.int64]
    seen: sparse.csr_matrix
    relevant: sparse.csr_matrix


@dataclass(frozen=True)
class NCFData:
    """training: this rank's rows; shard_rows: rows of every rank; fingerprint: of the rank's data, for checkpoints."""

    training: Rows
    pairs_per_row: int
    validation: ValidationRows | None
    fingerprint: int


def load_ncf_data(job: NCFJob, rank: int, size: int) -> NCFData:
    """Read this rank's rows of the training Parquet.

    Raises UserError where there are no rows to train on.
    """
    columns = read_columns(job.train, COLUMNS, rank, size)
    labels = columns["label"].astype(np.float32)
    pairs = Pairs(columns["user"].astype(np.int32), columns["item"].astype(np.int32))
    held_out = columns["validation"].astype(bool)
    if job.parameters.early_stopping is None:
        held_out[:] = False
    training = _training_rows(job, _take(pairs, ~held_out), labels[~held_out])
    if len(training) == 0:
        raise UserError(f"rank {rank} of {size} has no training rows in {job.train}: use fewer ranks, or more data")
    validation = None
    if job.parameters.early_stopping is not None:
        validation = _validation_rows(job, _take(pairs, held_out), labels[held_out], rank, size)
    pairs_per_row = 1 + job.parameters.fresh_negatives if job.parameters.negatives == "fresh" else 1
    return NCFData(training, pairs_per_row, validation, _fingerprint(pairs, labels, held_out))


def side_sizes(job: NCFJob) -> tuple[SideSizes, SideSizes]:
    """Sizes of the users' and of the items' side of the model."""
    users = SideSizes(num_ids=job.num_users, categorical=job.user_categorical, numeric=job.user_numeric)
    return users, SideSizes(num_ids=job.num_items, bags=job.item_bags)


def side_tables(job: NCFJob) -> tuple[SideTable, SideTable]:
    """Side features of every id, row 0 (unknown) zero."""
    users = _read_table(job.user_features, "user", job.num_users)
    items = _read_table(job.item_features, "item", job.num_items)
    user_ids, item_ids = users.column("user").to_numpy(), items.column("item").to_numpy()

    categorical = {name: np.zeros(job.num_users, np.int64) for name in job.user_categorical}
    numeric = {name: np.zeros(job.num_users, np.float32) for name in job.user_numeric}
    for name, values in (categorical | numeric).items():
        values[user_ids] = users.column(name).to_numpy()
    bags = {name: _bag(items.column(name), item_ids, job.num_items, size) for name, size in job.item_bags.items()}
    return SideTable(categorical=categorical, numeric=numeric), SideTable(bags=bags)


def _read_table(path: Path, key: str, num_ids: int) -> pa.Table:
    table = pa.concat_tables(pq.read_table(file) for file in parquet_files(path))
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


def _take(pairs: Pairs, mask: npt.NDArray[np.bool_]) -> Pairs:
    return Pairs(pairs.users[mask], pairs.items[mask])


def _training_rows(job: NCFJob, pairs: Pairs, labels: npt.NDArray[np.float32]) -> Rows:
    parameters = job.parameters
    if parameters.negatives == "stored":
        return StoredRows(pairs, labels, parameters.unknown_rate)
    positives = _take(pairs, labels > 0)
    everyone = _all_training_positives(job)
    membership = Membership(everyone, job.num_users, job.num_items)
    known = _take(positives, (positives.users > 0) & (positives.items > 0))
    return FreshNegatives(
        known, parameters.fresh_negatives, job.num_items, membership.contains, parameters.unknown_rate
    )


def _all_training_positives(job: NCFJob, *, held_out: bool = False) -> Pairs:
    """Positives of all ranks: those trained on, or those held out."""
    columns = read_columns(job.train, COLUMNS)
    validation = columns["validation"].astype(bool)
    if job.parameters.early_stopping is None:
        validation[:] = False
    wanted = columns["label"].astype(bool) & (validation == held_out)
    return _take(Pairs(columns["user"].astype(np.int32), columns["item"].astype(np.int32)), wanted)


def _validation_rows(
    job: NCFJob, pairs: Pairs, labels: npt.NDArray[np.float32], rank: int, size: int
) -> ValidationRows:
    held_out = _all_training_positives(job, held_out=True)
    if not len(held_out):
        raise UserError(
            "early stopping has no rows to validate on: raise ncf.validation_fraction, "
            "or set ncf.early_stopping to null"
        )
    everyone = np.unique(held_out.users)
    drawn = np.random.default_rng([job.seed, 1]).permutation(everyone)[: job.parameters.validation_users]
    users = np.sort(drawn)[rank::size].astype(np.int64)
    seen = _matrix(_all_training_positives(job), job)
    return ValidationRows(pairs, labels, users, seen[users], _matrix(held_out, job)[users])


def _matrix(pairs: Pairs, job: NCFJob) -> sparse.csr_matrix:
    ones = np.ones(len(pairs), np.int8)
    return sparse.csr_matrix((ones, (pairs.users, pairs.items)), shape=(job.num_users, job.num_items))


def _fingerprint(pairs: Pairs, labels: npt.NDArray[np.float32], held_out: npt.NDArray[np.bool_]) -> int:
    """A sum over rows that changes with any of them, and not with their order."""
    keys = pairs.users.astype(np.uint64) << np.uint64(32) | pairs.items.astype(np.uint64)
    keys = keys * np.uint64(0x9E3779B97F4A7C15) + labels.astype(np.uint64) * np.uint64(2) + held_out.astype(np.uint64)
    return int((keys ^ (keys >> np.uint64(29))).sum(dtype=np.uint64))
