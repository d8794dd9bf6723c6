"""One way to run a training: what a node, a benchmark or a search calls."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.distributed.job import RankProgram
from tandem.distributed.launch.launcher import launch
from tandem.distributed.launch.sharing import Sharing
from tandem.parameters import DistributedParameters
from tandem.training.job import TrainingJob
from tandem.training.progress import TrainingProgress


@dataclass(frozen=True)
class Trained:
    """What a training has left: files in ``staging``, a record per epoch, and where each rank ran."""

    staging: Path
    history: list[dict[str, Any]]
    ranks: list[dict[str, Any]]

    @property
    def model(self) -> Path:
        """The folder of the model."""
        return self.staging / "model"

    @property
    def outputs(self) -> tuple[Path, list[dict[str, Any]], list[dict[str, Any]], Path]:
        """What every training node returns: model, history, binding table, event files."""
        return self.model, self.history, self.ranks, self.staging / "tensorboard"


@dataclass(frozen=True)
class TrainingPlan:
    """Who trains, and on what; ``title``: of the model, for people; ``sharing``: how many ranks can share its rows."""

    program: RankProgram
    title: str
    sharing: Sharing


def staging_of(work: Path) -> Path:
    """Where the ranks of a job write their results; absolute."""
    return (work / "staging").resolve()


def run_training(plan: TrainingPlan, job: TrainingJob, distributed: DistributedParameters, work: Path) -> Trained:
    """Train on ranks of their own, with progress for people.

    Args:
        plan: the ranks' module, the model's title, and how many ranks can share its rows.
        job: what the ranks are told; its ``staging`` is ``staging_of(work)``.
        distributed: how many ranks, and where.
        work: scratch of this job; what an earlier one has left there is removed.

    Raises:
        UserError: what ``launch`` raises.
    """
    staging = staging_of(work)
    shutil.rmtree(staging, ignore_errors=True)
    with TrainingProgress(plan.title) as progress:
        result = launch(
            plan.program.module,
            job,
            parameters=distributed,
            framework=plan.program.framework,
            work_dir=work,
            on_event=progress,
            sharing=plan.sharing,
        )
    return Trained(staging, json.loads((staging / "history.json").read_text()), result.ranks)
