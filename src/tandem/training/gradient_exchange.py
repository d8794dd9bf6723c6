"""How the ranks exchange the gradient of a table: whole, or the rows of the batch. The rule of docs/gradients.md."""

from typing import Literal

from tandem.distributed.ranks.mpi_limits import check_gathered

Exchange = Literal["dense", "sparse"]

# Smaller tables travel in the one allreduce that the other weights need anyway: one more collective costs more.
LEAST_SPARSE_ROWS = 16_384


def exchange_of(rows: int, ids: int, ranks: int, least_rows: int = LEAST_SPARSE_ROWS) -> Exchange:
    """``sparse`` where gathering the batch's rows moves fewer bytes than adding up the whole table.

    An allreduce of a table moves ``2 (ranks - 1) / ranks * rows`` rows to and from each rank, an allgather
    ``(ranks - 1) * ids`` to it, each row with one number more: its id, or whether any rank has a gradient for it.

    Args:
        rows: of the table.
        ids: that a rank's part of a batch looks up at most; each counts once, so never more than ``rows``.
        ranks: of the job.
        least_rows: tables with fewer are always dense.
    """
    if rows < least_rows or ranks * min(ids, rows) >= 2 * rows:
        return "dense"
    return "sparse"


def check_exchange(exchange: Exchange, rows: int, width: int, ids: int, ranks: int, what: str) -> None:
    """Raise UserError where a step may gather more numbers than MPI can count; an allreduce goes in pieces.

    width: of a row of the table.
    """
    if exchange == "sparse":
        check_gathered(min(ids, rows) * (width + 1), ranks, what)
