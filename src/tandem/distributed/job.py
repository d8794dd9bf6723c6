"""What launcher and ranks exchange: the files of a job's folder and the environment that leads a rank to them.

```
work_dir/spec.json              what the rank module is to do
work_dir/job/job.json           number of ranks, their bindings, strictness, MPI
work_dir/job/events/R.jsonl     one JSON event per line, written by rank R, followed by the launcher
work_dir/job/failures/R.json    why rank R failed; the earliest is the true cause
work_dir/logs/rank-R.log        everything that rank R printed
work_dir/logs/mpirun.log        everything that mpirun printed
```
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tandem.distributed.binding.table import RankBinding
from tandem.parameters import ChosenMpi
from tandem.storage.siblings import new_file, recover, remove
from tandem.storage.writes import explaining_writes

Framework = Literal["torch", "tensorflow"]

WORK_DIR = "TANDEM_WORK_DIR"
JOB_ID = "TANDEM_JOB_ID"
JOB_OPTION = "tandem_job_id"  # a setting of mpirun that nobody reads: its daemons have it on their command lines
NUM_RANKS = "TANDEM_NUM_RANKS"
LAUNCHER = "TANDEM_LAUNCHER"  # the number of the launcher's process, for a rank that is its child
SEVERAL_HOSTS = "TANDEM_SEVERAL_HOSTS"
_RANK_VARIABLES = ("OMPI_COMM_WORLD_RANK", "PMI_RANK")
_LOCAL_RANK_VARIABLES = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID")


@dataclass(frozen=True)
class RankProgram:
    """What the ranks of a training node run, known before the node is called: a dry run tells it.

    A module that calls ``run_rank``, and the framework that it imports.
    """

    module: str
    framework: Framework


@dataclass(frozen=True)
class Job:
    """The folder of one launch."""

    work_dir: Path

    @property
    def spec_file(self) -> Path:
        """What the rank module is to do."""
        return self.work_dir / "spec.json"

    @property
    def folder(self) -> Path:
        """The launcher's and the ranks' own files."""
        return self.work_dir / "job"

    @property
    def log_dir(self) -> Path:
        """Everything that was printed."""
        return self.work_dir / "logs"

    @property
    def mpirun_log(self) -> Path:
        """What mpirun printed, and a rank before it took its own file."""
        return self.log_dir / "mpirun.log"

    def log_file(self, rank: int) -> Path:
        """Everything that a rank printed."""
        return self.log_dir / f"rank-{rank}.log"

    def event_file(self, rank: int) -> Path:
        """What a rank reports, one JSON object a line."""
        return self.folder / "events" / f"{rank}.jsonl"

    def failure_file(self, rank: int) -> Path:
        """Why a rank failed."""
        return self.folder / "failures" / f"{rank}.json"

    def write_plan(
        self, bindings: tuple[RankBinding, ...], framework: Framework, *, mpi: ChosenMpi, strict: bool
    ) -> None:
        """Write ``job.json``."""
        ranks = [asdict(binding) for binding in bindings]
        write_json(self.folder / "job.json", {"framework": framework, "mpi": mpi, "strict": strict, "ranks": ranks})

    def read_plan(self) -> "Plan":
        """What ``write_plan`` wrote."""
        content = json.loads((self.folder / "job.json").read_text())
        return Plan([_binding(row) for row in content["ranks"]], content["mpi"], content["strict"])

    def failures(self) -> list["Failure"]:
        """All failure records: the true causes by time, then those of ranks that only lost their peers."""
        files = (self.folder / "failures").glob("*.json")
        found = [Failure(**json.loads(file.read_text())) for file in files]
        return sorted(found, key=lambda failure: (failure.lost_peer, failure.time, failure.rank))


class Plan(NamedTuple):
    """All ranks' planned bindings, the MPI that starts them, and whether a deviation is an error."""

    bindings: list[RankBinding]
    mpi: ChosenMpi
    strict: bool


@dataclass(frozen=True)
class Failure:
    """Why a rank failed. ``lost_peer``: only because another one had gone; ``time`` in seconds since 1970."""

    rank: int
    host: str
    time: float
    error: str
    traceback: str
    user_error: bool = False
    lost_peer: bool = False


def _binding(row: Mapping[str, Any]) -> RankBinding:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return RankBinding(**fields)


def rank_of_environment(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, local rank) as mpirun says; (0, 0) without MPI."""
    return _first_number(environment, _RANK_VARIABLES), _first_number(environment, _LOCAL_RANK_VARIABLES)


def mpi_of_environment(environment: Mapping[str, str] = os.environ) -> str | None:
    """The MPI whose launcher started this process; None without MPI."""
    if "OMPI_COMM_WORLD_RANK" in environment:
        return "openmpi"
    if "I_MPI_HYDRA_UUID" in environment:
        return "intelmpi"
    return "another" if started_by_mpi(environment) else None


def started_by_mpi(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether an mpirun started this process."""
    return any(name in environment for name in _RANK_VARIABLES)


def _first_number(environment: Mapping[str, str], names: tuple[str, ...]) -> int:
    return next((int(environment[name]) for name in names if name in environment), 0)


def write_json(path: Path, content: object) -> None:
    """Write atomically: a reader sees the whole file or none."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write atomically: a reader sees the whole file or none."""
    with explaining_writes(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        recover(path)
        with new_file(path) as beside:
            try:
                beside.write_text(text)
                beside.replace(path)
            finally:
                remove(beside)
