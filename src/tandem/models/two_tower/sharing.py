"""How the rows of two towers, and their memory, divide among ranks; known before any starts, without a framework."""

from tandem.batches.columns import LABEL
from tandem.batches.sharing import Phase, SharedRows, rows_held_in
from tandem.batches.stream_sizes import Shard, StreamSizes, stream_sizes
from tandem.errors import UserError
from tandem.models.two_tower.batch_size import batch_of
from tandem.models.two_tower.job import TwoTowerJob
from tandem.models.two_tower.keys import columns_of

# Halves of two keys and a share are added to every row that is trained on.
ADDED_BYTES = 20
# Of the memory limit, for the items' frequencies.
FREQUENCIES_SHARE = 1 / 16


def two_tower_sharing(job: TwoTowerJob) -> SharedRows:
    """How many ranks these rows can be shared by. UserError where the softmax finds no positives."""
    parameters, softmax = job.parameters, job.parameters.loss == "softmax"
    rows = rows_held_in(job.train, parameters.validation_fraction, job.seed, positives=softmax)
    if softmax:
        check_positives(rows.total)
    unit, mend = f"training {'positives' if softmax else 'rows'}", "two_tower.batch_size of at least {}".format
    batch_size = batch_of(parameters, int(rows.total))
    phases = [Phase(rows.total, batch_size, unit, rows.shards, mend, "search" if parameters.refit else "")]
    if parameters.refit:
        every = rows_held_in(job.train, 0.0, job.seed, positives=softmax)
        phases.append(Phase(every.total, batch_size, unit, every.shards, mend, "refit"))
    return SharedRows(tuple(phases), lambda ranks: shard_and_sizes(job, 0, ranks))


def shard_and_sizes(job: TwoTowerJob, rank: int, size: int) -> tuple[Shard, StreamSizes | None]:
    """A rank's rows, and how they are streamed; None where they stay in memory. UserError: the limit is too small."""
    parameters = job.parameters
    ids, numbers = columns_of(parameters.model)
    shard = Shard(job.train, (*ids, LABEL), numbers, rank, size)
    taken = FREQUENCIES_SHARE if parameters.loss == "softmax" else 0.0
    limit, name = parameters.memory_limit_mb, "two_tower.memory_limit_mb"
    return shard, stream_sizes(shard, limit, name, added_bytes=ADDED_BYTES, taken_share=taken)


def check_positives(rows: float) -> None:
    """Raise UserError where no row has label 1; rows: that have, on all ranks."""
    if not rows:
        raise UserError("two_tower.loss: softmax needs training rows with label 1, and there are none")
