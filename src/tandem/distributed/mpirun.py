"""The command and the environment of a job: plain ``mpirun`` of Open MPI 5, or a child process for one rank.

The binding plan is put into mpirun's words by ``binding.expression``; each rank checks from inside that they led to
the planned CPUs.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tandem.distributed.binding.expression import launch_line
from tandem.distributed.binding.table import BindingPlan, RankBinding
from tandem.distributed.job import JOB_ID, NUM_RANKS, WORK_DIR
from tandem.errors import UserError

_SCRUBBED = ("OMPI_", "PMIX_", "PMI_", "PRTE_", "HOROVOD_", "TANDEM_", "HYDRA_")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
_HOROVOD_CPUS = "HOROVOD_THREAD_AFFINITY"

# Shared memory on one host. A waiting MPI call gives its core away: Horovod's thread waits for its peers in the middle
# of the computation, on the rank's only core. Median step of two one-core ranks with about 11.6 ms of computation and
# one allreduce of 1 MB, at a cycle of 0.3 ms, four interleaved passes on a busy machine: 14 to 18 ms with yielding, 26
# to 31 ms without.
_MCA = {"pml": "ob1", "btl": "self,sm", "mpi_yield_when_idle": "1"}

# How often Horovod's own thread looks for work, in milliseconds. A blocking allreduce waits up to one cycle, so a short
# one; 0.1, 0.3, 0.5 and 1 could not be told apart on that busy machine, so the exact value is not a measured optimum.
# A step frees and asks again for the same blocks: keep them, instead of having the kernel clear new pages every time.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
_CYCLE_TIME_MS = "0.3"


def find_mpirun() -> Path:
    """The mpirun beside this Python (the wheel of the environment that Horovod was built in), or else on PATH."""
    found = _mpirun()
    if found is None:
        raise UserError(f"{mpirun_missing()}; install it: make setup")
    return found


def mpirun_missing() -> str | None:
    """Why there is no mpirun; None when there is one."""
    return None if _mpirun() else f"there is no mpirun beside {sys.executable} and none on PATH"


def _mpirun() -> Path | None:
    beside = Path(sys.executable).parent / "mpirun"
    found = beside if beside.is_file() else shutil.which("mpirun")
    return Path(found) if found else None


def rankfile(plan: BindingPlan) -> str:
    """The plan in Open MPI's words; empty where it needs none."""
    return launch_line(plan, "openmpi5", (), Path()).rankfile


def command(plan: BindingPlan, module: str, spec_file: Path, rankfile_path: Path) -> list[str]:
    """The argument list that runs ``python -m module spec.json`` in every rank."""
    program = [sys.executable, "-m", module, str(spec_file)]
    if len(plan.ranks) == 1:
        return program
    return [str(find_mpirun()), *launch_line(plan, "openmpi5", [*_mca(), *program], rankfile_path).arguments]


def _mca() -> list[str]:
    return [word for setting in _MCA.items() for word in ("--mca", *setting)]


def environment(
    plan: BindingPlan,
    *,
    module: str,
    work_dir: Path,
    job_id: str,
    temporary: Path,
    stall_seconds: float,
    inherited: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """A clean environment: nothing of an outer MPI job, our own threads, quiet frameworks, short temporary paths."""
    clean = {name: value for name, value in inherited.items() if not name.startswith(_SCRUBBED)}
    clean |= rank_environment(plan.ranks[0], plan.ranks)
    clean |= {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "HOROVOD_CYCLE_TIME": _CYCLE_TIME_MS,
        "HOROVOD_STALL_CHECK_TIME_SECONDS": str(max(1, int(min(60, stall_seconds / 2)))),
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(max(2, int(stall_seconds))),
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PYTHONPATH": os.pathsep.join(_import_folders(module, inherited.get("PYTHONPATH", ""))),
        "PYTHONUNBUFFERED": "1",
        **_KEEP_MEMORY,
        "TMPDIR": str(temporary),
        WORK_DIR: str(work_dir),
        JOB_ID: job_id,
        NUM_RANKS: str(len(plan.ranks)),
    }
    return clean


def rank_environment(rank: RankBinding, ranks: Sequence[RankBinding]) -> dict[str, str]:
    """The variables of one rank's threads; on hosts of other sizes they are others.

    Horovod takes a list for all ranks of a host, so its thread has a CPU of its own on each of them or on none.
    """
    found = dict.fromkeys(_THREAD_VARIABLES, str(rank.threads))
    if rank.bound:
        found |= {"OMP_PROC_BIND": "close", "OMP_PLACES": "threads" if rank.threads > len(rank.cores) else "cores"}
    local = [other.horovod_cpu for other in ranks if other.host == rank.host]
    if all(cpu is not None for cpu in local):
        found[_HOROVOD_CPUS] = ",".join(map(str, local))
    return found


def _import_folders(module: str, inherited: str) -> Sequence[str]:
    """The folders on which the ranks find the rank module's package and ours, whatever this process did to sys.path."""
    folders = []
    for package in (module.partition(".")[0], "tandem"):
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"no package {package!r} for the rank module {module}")
        places = [Path(place).parent for place in spec.submodule_search_locations or ()]
        folders += [str(place) for place in places or [Path(str(spec.origin)).parent]]
    return list(dict.fromkeys([*folders, *filter(None, inherited.split(os.pathsep))]))
