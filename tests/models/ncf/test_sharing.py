"""What is known of NCF's phases before the ranks start is what the ranks then find."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ncf_jobs import write_job
from tandem.errors import UserError
from tandem.models.ncf.rows import load_ncf_data
from tandem.models.ncf.sharing import ncf_sharing
from tandem.training.loop import rows_of_step

NEGATIVES = {
    "stored": {"negatives": "stored"},
    "fresh": {"negatives": "fresh", "fresh_negatives": 3},
    "shared": {"negatives": "shared", "shared_negatives": 8},
}


@pytest.mark.parametrize("ranks", [1, 2, 7])
@pytest.mark.parametrize("negatives", list(NEGATIVES))
def test_rows_of_each_rank_and_step_are_those_that_the_ranks_have(tmp_path, negatives, ranks):
    job = write_job(tmp_path, publish=True, refit=True, **NEGATIVES[negatives])
    search, refit, everything = ncf_sharing(job).phases
    assert [phase.name for phase in (search, refit, everything)] == ["search", "refit", "training on all rows"]
    for phase, found, hold_out in ((search, job, True), (refit, job, False), (everything, job.on_all_rows(), False)):
        data = [load_ncf_data(found, rank, ranks, hold_out=hold_out).training for rank in range(ranks)]
        assert list(phase.shards(ranks)) == [len(rows) for rows in data]
        assert phase.rows == sum(len(rows) for rows in data)
        assert phase.step_rows == rows_of_step(job.parameters.batch_size, data[0].samples_per_row)


def dense_users(job, users=20, items=60):
    """Every user has every item, and every tenth row is held out."""
    user, item = np.repeat(np.arange(1, users + 1), items), np.tile(np.arange(1, items + 1), users)
    ones = np.ones(users * items, np.int32)
    rows = {"user": user, "item": item, "label": ones, "validation": (item % 10 == 0).astype(np.int32)}
    pq.write_table(pa.table(rows), job.train)
    return job.model_copy(update={"num_items": items + 1})


def test_a_refit_whose_users_are_heavier_allows_fewer_ranks(tmp_path):
    """54 positives a user and 10 shared negatives make steps of two users, 60 of one."""
    job = dense_users(write_job(tmp_path, negatives="shared", shared_negatives=10, refit=True, batch_size=138))
    sharing = ncf_sharing(job)
    assert [phase.step_rows for phase in sharing.phases] == [2, 1]
    assert sharing.refusal(2) == (
        "2 ranks cannot share 20 users of the refit in 20 steps of 1 (they can with ncf.batch_size of at least 140, or "
        "with ncf.shared_negatives of at most 9)"
    )
    assert sharing.most(2) == 1
    for change in ({"batch_size": 140}, {"shared_negatives": 9}):
        mended = job.model_copy(update={"parameters": job.parameters.model_copy(update=change)})
        assert ncf_sharing(mended).refusal(2) is None
    for change in ({"batch_size": 139}, {"shared_negatives": 10}, {"refit": False}):
        same = job.model_copy(update={"parameters": job.parameters.model_copy(update=change)})
        assert (ncf_sharing(same).refusal(2) is None) == ("refit" in change)


def test_what_early_stopping_needs_is_looked_for_at_the_start(tmp_path):
    job = dense_users(write_job(tmp_path, early_stopping={"metric": "log_loss"}))
    with pytest.raises(UserError, match=r"ncf.early_stopping.metric log_loss needs stored negatives to validate on"):
        ncf_sharing(job)
    rows = pq.read_table(job.train)
    none = pa.array(np.zeros(rows.num_rows, np.int32))
    pq.write_table(rows.set_column(rows.column_names.index("validation"), "validation", none), job.train)
    with pytest.raises(UserError, match=r"early stopping has no rows to validate on: raise ncf.validation_fraction"):
        ncf_sharing(job)


def test_a_memory_limit_that_is_too_small_is_told_at_the_start(tmp_path):
    sharing = ncf_sharing(write_job(tmp_path, memory_limit_mb=0.001))
    with pytest.raises(UserError, match=r"ncf.memory_limit_mb: 0.001 MB are too few to read these rows; set at least"):
        sharing.refusal(1)
