"""MPI counts the elements of a message with 32-bit integers: what is more is sent in pieces, or refused beforehand.

A count beyond them would wrap around inside of MPI, and end in a crash or in wrong numbers.
"""

from tandem.errors import UserError

MOST_ELEMENTS = 2**31 - 1


def pieces(elements: int, most: int | None = None) -> list[slice]:
    """Parts of a tensor of so many elements, one after the other, that MPI can each count; one, where it can them all.

    most: elements of a part; what MPI counts where None.
    """
    step = most or MOST_ELEMENTS
    return [slice(start, min(start + step, elements)) for start in range(0, max(1, elements), step)]


def check_gathered(elements: int, ranks: int, what: str) -> None:
    """Raise UserError where the elements of all ranks together may be more than MPI can count.

    elements: of this rank, or of the rank that has most. No rank may bring more than an equal share: that can be judged
    without asking the others, and whoever passes, the sum does.
    """
    if elements * ranks > MOST_ELEMENTS:
        raise UserError(
            f"{what}: {elements} numbers of a rank, gathered from {ranks} ranks, are more than the {MOST_ELEMENTS} "
            "that MPI can count: use a smaller batch_size or fewer ranks (distributed.num_ranks)"
        )
