"""How many ranks can share rows is known before any starts, and is what the ranks themselves would find."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.batches.shards import StepPlan, rank_range
from tandem.batches.sharing import Marks, Phase, SharedRows
from tandem.errors import UserError


def phase_of(rows, step_rows, name=""):
    def shards(ranks):
        return [len(rank_range(rows, rank, ranks)) for rank in range(ranks)]

    return Phase(rows, step_rows, "users", shards, "ncf.batch_size of at least {}".format, name)


@given(
    blocks=st.lists(st.integers(0, 40), min_size=1, max_size=6), ranks=st.integers(1, 9), seed=st.integers(0, 2**32 - 1)
)
def test_marks_count_what_each_rank_has(blocks, ranks, seed):
    draws, marks = np.random.default_rng(seed), Marks()
    masks = [draws.random(rows) < 0.4 for rows in blocks]
    for mask in masks:
        marks.add(mask)
    everything = np.concatenate(masks)
    ranges = [rank_range(len(everything), rank, ranks) for rank in range(ranks)]
    assert marks.shards(ranks) == [int(everything[rows.start : rows.stop].sum()) for rows in ranges]
    assert marks.total == int(everything.sum())


@given(rows=st.integers(1, 500), ranks=st.integers(1, 40), step_rows=st.integers(1, 100))
def test_a_number_is_refused_where_a_rank_would_have_an_empty_step(rows, ranks, step_rows):
    shared = SharedRows((phase_of(rows, step_rows),))

    def works(number):
        try:
            StepPlan.of(shared.phases[0].shards(number), step_rows)
        except UserError:
            return False
        return True

    refusal = shared.refusal(ranks)
    assert (refusal is None) == works(ranks)
    assert shared.most(ranks) == max(number for number in range(1, ranks + 1) if works(number))
    if refusal is not None and ranks <= rows:
        enough = int(refusal.rpartition(" ")[2].rstrip(")"))
        assert SharedRows((phase_of(rows, enough),)).refusal(ranks) is None
        assert SharedRows((phase_of(rows, enough - 1),)).refusal(ranks) is not None


def test_the_phase_that_fits_worst_decides():
    shared = SharedRows((phase_of(20, 2, "search"), phase_of(20, 1, "refit")))
    assert shared.refusal(2) == (
        "2 ranks cannot share 20 users of the refit in 20 steps of 1 (they can with ncf.batch_size of at least 2)"
    )
    assert shared.refusal(30) == "30 ranks for 20 users of the search"
    assert shared.most(30) == 1
    assert shared.refusal(1) is None


def test_no_rows_are_no_matter_of_ranks():
    with pytest.raises(UserError, match="there are no users to train on"):
        SharedRows((phase_of(0, 5),)).refusal(1)


def test_sizes_of_step_plans_fall_with_the_number_of_ranks():
    """What ``most`` starts from is never below the answer."""
    for one, more in pairwise(range(1, 9)):
        assert min(phase_of(100, 7).shards(one)) >= min(phase_of(100, 7).shards(more))
