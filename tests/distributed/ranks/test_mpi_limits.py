"""What MPI can count, judged by sizes alone."""

import pytest

from tandem.distributed.ranks.mpi_limits import MOST_ELEMENTS, check_gathered, pieces
from tandem.errors import UserError


def test_what_mpi_can_count_is_one_piece() -> None:
    assert pieces(0) == [slice(0, 0)]
    assert pieces(5) == [slice(0, 5)]
    assert pieces(2**31 - 1) == [slice(0, 2**31 - 1)]


def test_what_it_cannot_count_is_several_without_a_gap() -> None:
    assert pieces(2**31) == [slice(0, 2**31 - 1), slice(2**31 - 1, 2**31)]
    parts = pieces(10**10)
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, 10**10)
    assert max(part.stop - part.start for part in parts) == MOST_ELEMENTS == 2**31 - 1
    assert pieces(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]


def test_a_gather_is_judged_by_the_sum_over_the_ranks() -> None:
    check_gathered(2**30 - 1, 2, "a table")
    with pytest.raises(UserError, match=r"a table: 1073741824 numbers of a rank, gathered from 2 ranks, are more"):
        check_gathered(2**30, 2, "a table")
    check_gathered(2**30, 1, "a table")
