"""What the ranks of a training node run: known before the node is, so that a dry run can tell it."""

from dataclasses import dataclass

from tandem.distributed.job import Framework


@dataclass(frozen=True)
class RankProgram:
    """A module that calls ``run_rank``, and the framework that it imports."""

    module: str
    framework: Framework
