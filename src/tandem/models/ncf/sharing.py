"""How the rows of NCF divide among ranks in each phase of its training; read from the table, before any rank starts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import INTERACTION
from tandem.batches.sharing import Marks, Phase, SharedRows, column_blocks
from tandem.batches.stream_sizes import Shard, stream_sizes
from tandem.errors import UserError
from tandem.models.ncf.job import NCFJob
from tandem.training.loop import rows_of_step

Counts = npt.NDArray[np.int64]
Ids = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
NOTHING_TO_VALIDATE = (
    "early stopping has no rows to validate on: raise ncf.validation_fraction, or set ncf.early_stopping to null"
)


def no_negatives(metric: str) -> UserError:
    """Of a metric that compares held-out positives with held-out negatives."""
    return UserError(f"ncf.early_stopping.metric {metric} needs stored negatives to validate on")


def ncf_sharing(job: NCFJob) -> SharedRows:
    """The phases of this job: the search, and the refit and the training on the test rows too where they are asked for.

    Raises UserError for what early stopping needs and the rows do not have.
    """
    parameters, counted = job.parameters, _Counted(job)
    if parameters.early_stopping is not None:
        counted.check_validation(parameters.early_stopping.metric)
    phases = {"search": counted.phase(everything=parameters.early_stopping is None)}
    if parameters.refit:
        phases["refit"] = counted.phase(everything=True)
    jobs = [job]
    if job.test is not None:
        jobs.append(job.on_all_rows())
        phases["training on all rows"] = _Counted(jobs[-1]).phase(everything=True)

    def check(_: int) -> None:
        for one in jobs:
            stream_sizes(Shard(one.sources, INTERACTION, ()), parameters.memory_limit_mb, "ncf.memory_limit_mb")

    named = len(phases) > 1
    return SharedRows(tuple(replace(phase, name=name if named else "") for name, phase in phases.items()), check)


class _Counted:
    """What there is to train on, with the rows to validate (index 1) and without them (index 0)."""

    def __init__(self, job: NCFJob) -> None:
        self._parameters, self._with_test = job.parameters, job.with_test
        self._marks = (Marks(), Marks())
        self._positives: tuple[Counts, Counts] = (np.zeros(job.num_users, np.int64), np.zeros(job.num_users, np.int64))
        self._held_out = [0, 0]  # negatives, positives
        for block in column_blocks(job.sources, INTERACTION):
            self._add(block["user"], block["item"], block["label"] > 0, block["validation"].astype(bool))

    def _add(self, users: Ids, items: Ids, positive: Mask, held_out: Mask) -> None:
        """The next rows, counted as ``ncf_data`` chooses them."""
        known, everywhere = (users > 0) & (items > 0), np.ones(len(users), np.bool_)
        read = known if self._with_test else everywhere
        taken = read & known & positive if self._parameters.negatives == "fresh" else read
        for place, among in enumerate((~held_out, everywhere)):
            self._marks[place].add(taken & among)
            counts = np.bincount(users[read & positive & among], minlength=len(self._positives[place]))
            self._positives[place][:] += counts
        self._held_out[0] += int(np.count_nonzero(held_out & ~positive))
        self._held_out[1] += int(np.count_nonzero(held_out & positive))

    def check_validation(self, metric: str) -> None:
        """Raise UserError where early stopping by this metric has not what it needs."""
        if not self._held_out[1]:
            raise UserError(NOTHING_TO_VALIDATE)
        if metric == "log_loss" and not self._held_out[0]:
            raise no_negatives(metric)

    def phase(self, *, everything: bool) -> Phase:
        """What a phase trains on; everything: the rows to validate too."""
        if self._parameters.negatives == "shared":
            return self._whole_users(self._positives[everything])
        pairs = 1 + self._parameters.fresh_negatives if self._parameters.negatives == "fresh" else 1
        marks, unit = self._marks[everything], "training rows" if pairs == 1 else "training positives"
        rows = rows_of_step(self._parameters.batch_size, float(pairs))
        return Phase(marks.total, rows, unit, marks.shards, lambda least: _batch_size(least * pairs))

    def _whole_users(self, positives: Counts) -> Phase:
        users = int(np.count_nonzero(positives[1:]))
        mean, shared = int(positives.sum()) / max(1, users), self._parameters.shared_negatives
        rows = rows_of_step(self._parameters.batch_size, mean + shared)

        def mend(least: int) -> str:
            size = next(n for n in range(int(least * (mean + shared)), 1 << 62) if int(n / (mean + shared)) >= least)
            fewer = int(self._parameters.batch_size / least - mean)
            lower = f", or with ncf.shared_negatives of at most {fewer}" if fewer >= 1 else ""
            return f"{_batch_size(size)}{lower}"

        return Phase(users, rows, "users", _every_nth(users), mend)


def _batch_size(least: int) -> str:
    return f"ncf.batch_size of at least {least}"


def _every_nth(rows: int) -> Callable[[int], list[int]]:
    """Sizes of ``everyone[rank::size]``."""
    return lambda ranks: [len(range(rank, rows, ranks)) for rank in range(ranks)]
