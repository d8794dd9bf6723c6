"""How many ranks can share the work of a job: what the launcher asks of it, knowing nothing of models and rows."""

import logging
from typing import Protocol

from tandem.errors import UserError
from tandem.parameters import DistributedParameters

_log = logging.getLogger(__name__)


class Sharing(Protocol):
    """Work that not every number of ranks can share."""

    def refusal(self, ranks: int) -> str | None:
        """Why so many ranks cannot; None where they can. Raises UserError where no number could."""

    def most(self, ranks: int) -> int:
        """The largest number, not above ``ranks``, of those that can."""


def check_number(sharing: Sharing, parameters: DistributedParameters) -> None:
    """Raise UserError where the number of ranks is given and is too large; it names the largest that works."""
    number, name = parameters.num_ranks, "num_ranks"
    if number == "auto" and parameters.rank_cpus != "auto" and not parameters.hosts and parameters.hostfile is None:
        number, name = len(parameters.rank_cpus), "rank_cpus"
    if number == "auto":
        return
    reason = sharing.refusal(number)
    if reason is not None:
        raise UserError(f"distributed.{name}: {reason}; use at most {sharing.most(number)}")


def shared_by(sharing: Sharing, planned: int) -> int:
    """The planned number of ranks, or fewer where so many cannot share the work, which is said.

    Raises UserError where no number could.
    """
    reason = sharing.refusal(planned)
    if reason is None:
        return planned
    most = sharing.most(planned)
    _log.info("%d rank%s will train: %s", most, "s" * (most > 1), reason)
    return most
