"""Rows of a table by id, with a gradient that costs one pass over the rows."""

from typing import Any

import torch
from torch import Tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor) -> Tensor:
        flat = ids.reshape(-1).long()  # by int32, adding up takes several times as long
        ctx.save_for_backward(flat)
        ctx.shape = table.shape
        return table.index_select(0, flat).view(*ids.shape, table.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (flat,) = ctx.saved_tensors
        summed = grads[0].new_zeros(ctx.shape)
        return summed.index_add_(0, flat, grads[0].reshape(len(flat), ctx.shape[1])), None


def gather(table: Tensor, ids: Tensor) -> Tensor:
    """``table[ids]``: float [*ids.shape, dim] of a table [rows, dim] and int32 or int64 ids of any shape.

    What ``torch.nn.functional.embedding`` gives. Its backward pass on a CPU first counts the ids and goes through the
    table once per thread, which takes several times as long where the table is no larger than the batch. Raises
    IndexError where an id is not in the table.
    """
    rows: Tensor = _Gather.apply(table, ids)  # type: ignore[no-untyped-call]
    return rows
