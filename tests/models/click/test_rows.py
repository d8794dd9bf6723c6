"""What is known of the rows of Wide & Deep and of two towers before the ranks start is what the ranks then have."""

import pytest

import two_tower_jobs
import wnd_jobs
from tandem.batches.columns import LABEL
from tandem.errors import UserError
from tandem.models.click.rows import click_rows, click_sharing
from tandem.models.two_tower.rows import load_rows
from tandem.models.two_tower.sharing import two_tower_sharing


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_wide_and_deep(tmp_path, ranks, fraction):
    job = wnd_jobs.write_job(tmp_path, validation_fraction=fraction, early_stopping=None)
    (phase,) = click_sharing(job).phases
    found = [len(click_rows(job, rank, ranks, hold_out=True)[0]) for rank in range(ranks)]
    assert list(phase.shards(ranks)) == found
    assert (phase.rows, phase.step_rows) == (sum(found), 100)


@pytest.mark.parametrize("loss", ["softmax", "pointwise"])
def test_two_towers(tmp_path, loss):
    job = two_tower_jobs.write_job(tmp_path, loss=loss)
    (phase,) = two_tower_sharing(job).phases
    training = [load_rows(job, rank, 3, hold_out=True).training for rank in range(3)]
    labels = [rows.column(LABEL) > 0 for rows in training]
    found = [int(some.sum()) if loss == "softmax" else len(some) for some in labels]
    assert list(phase.shards(3)) == found
    assert phase.rows == sum(found)


def test_more_ranks_than_batches_have_rows_are_refused_with_what_would_do(tmp_path):
    sharing = click_sharing(wnd_jobs.write_job(tmp_path, batch_size=5))
    rows = sharing.phases[0].rows
    refusal = sharing.refusal(12)
    assert refusal is not None
    assert refusal.startswith(
        f"12 ranks cannot share {rows} training rows in {-(-rows // 5)} steps of 5 (they can with"
    )
    assert sharing.most(12) <= 5


def test_memory_limits_that_are_too_small_are_told_at_the_start(tmp_path):
    wide = click_sharing(wnd_jobs.write_job(tmp_path / "wnd", memory_limit_mb=0.001))
    with pytest.raises(UserError, match=r"wnd.memory_limit_mb: 0.001 MB are too few"):
        wide.refusal(2)
    towers = two_tower_sharing(two_tower_jobs.write_job(tmp_path / "towers", memory_limit_mb=0.001))
    with pytest.raises(UserError, match=r"two_tower.memory_limit_mb: 0.001 MB are too few"):
        towers.refusal(2)
