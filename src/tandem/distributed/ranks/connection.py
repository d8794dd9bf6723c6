"""How a rank meets the others of its job."""

import os

from tandem.distributed.installed import horovod_missing
from tandem.distributed.job import NUM_RANKS, Framework
from tandem.distributed.ranks.communicator import Communicator, SingleRank
from tandem.errors import UserError


def connect(framework: Framework) -> Communicator:
    """Join the job that the launcher's environment describes; collective where there are several ranks.

    Raises:
        UserError: several ranks without Horovod, or started by an mpirun that Horovod does not belong to.
    """
    expected = int(os.environ.get(NUM_RANKS, "1"))
    if expected == 1:
        return SingleRank()
    reason = horovod_missing(framework)
    if reason is not None:
        raise UserError(f"{reason}, and this job has {expected} ranks; build it: make setup")
    from tandem.distributed.ranks.horovod import join

    joined = join(framework)
    if joined.size != expected:
        raise UserError(
            f"Horovod found {joined.size} rank(s) where mpirun started {expected}: mpirun and the MPI that Horovod was "
            "built against do not belong together; see: make doctor"
        )
    return joined
