"""Rows of a table by id, with a gradient that costs one pass over the rows."""

from torch import Tensor


def gather(table: Tensor, ids: Tensor) -> Tensor:
    """``table[ids]``: float [*ids.shape, dim] of a table [rows, dim] and int32 or int64 ids of any shape.

    What ``torch.nn.functional.embedding`` gives. Its backward pass on a CPU first counts the ids and goes through the
    table once per thread, which takes several times as long where the table is no larger than the batch. Raises
    IndexError where an id is not in the table.
    """
    flat = ids.reshape(-1).long()  # by int32, adding up takes several times as long
    return table.index_select(0, flat).view(*ids.shape, table.shape[1])
