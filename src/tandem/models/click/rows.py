"""A rank's rows of a click model, whatever the framework."""

from tandem.batches.columns import LABEL, ColumnRows, held_out
from tandem.batches.row_blocks import RowBlocks, RowStream, split_held_out
from tandem.batches.sharing import Phase, SharedRows, rows_held_in
from tandem.batches.stream_sizes import Shard, StreamSizes, stream_sizes
from tandem.batches.streaming import StreamedRows
from tandem.models.click.job import ClickJob


def click_rows(
    job: ClickJob, rank: int, size: int, *, hold_out: bool
) -> tuple[ColumnRows | StreamedRows, ColumnRows | RowStream]:
    """This rank's rows to train on and its held-out rows: in memory, or streamed where they are more than the limit.

    hold_out: leave the validation rows, where any are asked for, apart.
    """
    columns = job.parameters.model
    shard = Shard(job.train, (*columns.id_columns, LABEL), columns.continuous, rank, size)
    sizes = _stream_sizes(job, shard)
    fraction = job.parameters.validation_fraction if hold_out else 0.0
    if sizes is None:
        rows = shard.read()
        validating = held_out(job.train, fraction, job.seed, rank, size)
        return rows.where(~validating), rows.where(validating)
    training, watched = split_held_out(RowBlocks(shard, sizes), fraction, job.seed)
    return StreamedRows(training), watched


def click_sharing(job: ClickJob) -> SharedRows:
    """How many ranks these rows can be shared by; known before any starts."""
    parameters, columns = job.parameters, job.parameters.model

    def phase(fraction: float, name: str) -> Phase:
        rows, mend = (
            rows_held_in(job.train, fraction, job.seed, positives=False),
            f"{job.name}.batch_size of at least {{}}".format,
        )
        return Phase(rows.total, parameters.batch_size, "training rows", rows.shards, mend, name)

    phases = [phase(parameters.validation_fraction, "search" if parameters.refit else "")]
    if parameters.refit:
        phases.append(phase(0.0, "refit"))

    def check(ranks: int) -> None:
        _stream_sizes(job, Shard(job.train, (*columns.id_columns, LABEL), columns.continuous, 0, ranks))

    return SharedRows(tuple(phases), check)


def _stream_sizes(job: ClickJob, shard: Shard) -> StreamSizes | None:
    return stream_sizes(shard, job.parameters.memory_limit_mb, f"{job.name}.memory_limit_mb")
