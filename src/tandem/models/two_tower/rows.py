"""A rank's rows of two towers: to train on and held out, in memory, or streamed where they are more than the limit."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tandem.batches.columns import LABEL, ColumnBatches, ColumnRows, held_out
from tandem.batches.row_blocks import RowBlocks, RowStream, split_held_out
from tandem.batches.stream_sizes import MEGABYTE
from tandem.batches.streaming import StreamedRows, blocks_of
from tandem.distributed.ranks.communicator import Communicator
from tandem.models.two_tower.item_frequencies import (
    COUNT_BYTES,
    DEPTH,
    Frequencies,
    ItemFrequencies,
    SketchedFrequencies,
)
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.keys import Keys, keys_of, read_rows, with_keys, within
from tandem.models.two_tower.sharing import FREQUENCIES_SHARE, check_positives, shard_and_sizes


@dataclass(frozen=True)
class TowerRows:
    """This rank's rows, with all labels, in memory or streamed; held_out: None where none are."""

    training: ColumnRows | RowStream
    held_out: ColumnRows | RowStream | None


def load_rows(job: TwoTowerJob, rank: int, size: int, *, hold_out: bool) -> TowerRows:
    """Read this rank's rows, or plan to; hold_out: leave the validation rows, where any are asked for, apart.

    Raises UserError where a column is missing, or the limit too small.
    """
    parameters, fraction = job.parameters, job.parameters.validation_fraction if hold_out else 0.0
    shard, sizes = shard_and_sizes(job, rank, size)
    if sizes is not None:
        streams = split_held_out(RowBlocks(shard, sizes), fraction, job.seed)
        training, watched = (stream.then(lambda rows: within(rows, job.sizes)) for stream in streams)
        return TowerRows(training, watched if fraction > 0.0 else None)
    rows = read_rows(job.train, parameters.model, job.sizes, rank, size)
    if fraction == 0.0:
        return TowerRows(rows, None)
    mask = held_out(job.train, fraction, job.seed, rank, size)
    return TowerRows(rows.where(~mask), rows.where(mask))


def trained_rows(rows: TowerRows, job: TwoTowerJob, communicator: Communicator) -> ColumnBatches:
    """The rows that the loss takes, with keys and, for the softmax, the items' shares of these rows.

    Raises UserError where the softmax finds no positives.
    """
    model, softmax = job.parameters.model, job.parameters.loss == "softmax"

    def chosen(some: ColumnRows) -> ColumnRows:
        return some.where(some.column(LABEL) > 0) if softmax else some

    def item_keys(some: ColumnRows) -> Keys:
        return keys_of(some, "item", model.item)

    def keyed(some: ColumnRows, items: Keys) -> ColumnRows:
        shares = frequencies.of_items(items) if frequencies is not None else np.zeros(len(items))
        return with_keys(some, keys_of(some, "user", model.user), items, shares)

    if isinstance(rows.training, ColumnRows):
        taken = chosen(rows.training)
        items = item_keys(taken)
        frequencies = _exact(items, communicator) if softmax else None
        return keyed(taken, items)
    stream = rows.training.then(chosen)
    frequencies = _sketched(map(item_keys, blocks_of(stream)), job, communicator) if softmax else None
    return StreamedRows(stream.then(lambda some: keyed(some, item_keys(some))))


def _exact(keys: Keys, communicator: Communicator) -> Frequencies:
    check_positives(communicator.allreduce_scalars({"rows": float(len(keys))})["rows"])
    return ItemFrequencies.of(keys, communicator)


def _sketched(blocks: Iterable[Keys], job: TwoTowerJob, communicator: Communicator) -> Frequencies:
    """In the share of the memory limit that is theirs."""
    limit = (job.parameters.memory_limit_mb or 0.0) * MEGABYTE
    width = max(1, int(limit * FREQUENCIES_SHARE / (DEPTH * COUNT_BYTES)))
    frequencies = SketchedFrequencies.of(blocks, width, communicator)
    check_positives(frequencies.rows)
    return frequencies
