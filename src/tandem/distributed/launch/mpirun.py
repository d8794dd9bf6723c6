"""The command and the environment of a job: Open MPI's or Intel MPI's own launcher, or a child process for one rank.

The binding plan becomes arguments in ``binding.mpi_arguments``; each rank checks from inside that they led to
the planned CPUs.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.distributed.binding.mpi_arguments import VERSIONS, launch_line
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.binding.thread_variables import HOROVOD_CPUS, thread_variables
from tandem.distributed.installed import required_mpirun
from tandem.distributed.job import JOB_ID, JOB_OPTION, NUM_RANKS, SEVERAL_HOSTS, WORK_DIR
from tandem.distributed.launch import intel_mpi
from tandem.parameters import ChosenMpi
from tandem.surroundings import has_name, process_variables, user_name

_SCRUBBED = (
    *("OMPI_", "PMIX_", "PMI_", "PRTE_", "HOROVOD_", "TANDEM_"),
    *("HYDRA_", "I_MPI_", "MPI_LOCAL", "MPICH_", "MPIR_"),
)
# What a batch system leaves there, from which mpirun would take hosts and a way to start processes on them.
BATCH_VARIABLES = ("SLURM_", "PBS_", "LSB_", "PE_HOSTFILE")
# They would have a rank end as a prompt, or refuse to print what it has to say.
_NOT_FOR_RANKS = ("PYTHONINSPECT", "PYTHONSTARTUP", "PYTHONIOENCODING")
# Shared memory on one host. A waiting MPI call gives its core away: Horovod's thread waits for its peers in the middle
# of the computation, on the rank's only core.
_MCA = {"pml": "ob1", "btl": "self,sm", "mpi_yield_when_idle": "1"}
_SEVERAL_HOSTS_BTL = "self,sm,tcp"

# mpirun and its daemons notice a dead connection between them, and end their ranks, after the idle time and so many
# unanswered questions: together three quarters of the stall timeout.
_KEEPALIVE_QUESTIONS = 4

# A step frees and asks again for the same blocks: keep them, instead of having the kernel clear new pages every time.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(4 << 30)}
# How long Horovod's own thread of an idle rank sleeps, in milliseconds. Our patches wake it for every tensor, so this
# only bounds how late a rank without work answers one that has some. Between 1 and 20 the speeds of the three models
# differ by less than those of one setting in two minutes.
_CYCLE_TIME_MS = "5"
# How many times the stall timeout a rank may work while the others wait for it in a collective.
_LATER = 100


def rankfile(plan: BindingPlan, mpi: ChosenMpi = "openmpi") -> str:
    """The plan in the words of Open MPI's rankfiles; empty where it needs none."""
    return launch_line(plan, VERSIONS[mpi], (), Path()).rankfile


@dataclass(frozen=True)
class Reach:
    """How mpirun reaches other hosts.

    Attributes:
        agent: the launch agent and its options.
        network: the CIDR of the network to use; None: any.
        stall_seconds: within which it must notice that a host is gone.
        job_id: by which its daemons are found.
        exported: the variables of mpirun's environment that ranks there need too.
    """

    agent: Sequence[str]
    network: str | None
    stall_seconds: float
    job_id: str
    exported: Sequence[str] = ()


def command(
    plan: BindingPlan,
    module: str,
    spec_file: Path,
    rankfile_path: Path,
    reach: Reach | None = None,
    mpi: ChosenMpi = "openmpi",
) -> list[str]:
    """The argument list that runs ``python -m module spec.json`` in every rank; ``reach`` where hosts are named."""
    program = [sys.executable, "-m", module, str(spec_file)]
    if without_mpi(plan):
        return program
    if mpi == "intelmpi":
        said = launch_line(plan, "intelmpi", program, rankfile_path)
        return [str(required_mpirun(mpi)), intel_mpi.NO_CLEANUP, *intel_mpi.start(said.environment), *said.arguments]
    mca = _words("--mca", _MCA)
    if reach is not None:
        mca = [*_words("--prtemca", _daemon_settings(reach)), *_words("--mca", _MCA | _network_settings(reach))]
        mca += [word for name in reach.exported for word in ("-x", name)]
        mca += ["--wdir", str(spec_file.parent)]  # the only folder that all hosts are known to have
    return [str(required_mpirun()), *launch_line(plan, "openmpi5", [*mca, *program], rankfile_path).arguments]


def pair(mpirun: Path, program: Sequence[str], mpi: ChosenMpi) -> list[str]:
    """The argument list that runs a program in two unbound ranks, over the transport of jobs."""
    if mpi == "intelmpi":
        return [str(mpirun), *intel_mpi.start({"I_MPI_PIN": "0"}), "-n", "2", *program]
    unbound = ("-np", "2", "--bind-to", "none", "--map-by", ":OVERSUBSCRIBE")
    return [str(mpirun), *unbound, *_words("--mca", _MCA), *program]


def without_mpi(plan: BindingPlan) -> bool:
    """Whether the job is one rank on this host, which is a child process of ours."""
    return len(plan.ranks) == 1 and plan.here


def _daemon_settings(reach: Reach) -> dict[str, str]:
    network = {} if reach.network is None else {"prte_if_include": reach.network}
    return network | {
        JOB_OPTION: reach.job_id,
        "plm_ssh_agent": " ".join(reach.agent),
        "plm_ssh_no_tree_spawn": "1",  # else hosts start each other's daemons, and need an agent of their own
        "oob_tcp_keepalive_time": str(max(1, int(reach.stall_seconds / 4))),
        "oob_tcp_keepalive_intvl": str(max(1, int(reach.stall_seconds / 8))),
        "oob_tcp_keepalive_probes": str(_KEEPALIVE_QUESTIONS),
    }


def _network_settings(reach: Reach) -> dict[str, str]:
    network = {} if reach.network is None else {"btl_tcp_if_include": reach.network}
    return {"btl": _SEVERAL_HOSTS_BTL, **network}


def _words(option: str, settings: Mapping[str, str]) -> list[str]:
    return [word for setting in settings.items() for word in (option, *setting)]


def environment(own: Mapping[str, str], temporary: Path, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A clean environment: nothing of an outer MPI job, the job's own variables, short temporary paths.

    On this host alone there is nothing of a batch system either; the agent that reaches other hosts may need that.
    """
    scrubbed = (_SCRUBBED if SEVERAL_HOSTS in own else _SCRUBBED + BATCH_VARIABLES) + _NOT_FOR_RANKS
    clean = {name: value for name, value in inherited.items() if not name.startswith(scrubbed)}
    home = {} if has_name() or "HOME" in inherited else {"HOME": str(temporary)}  # Open MPI asks for one
    return {**clean, **own, **home, "TMPDIR": str(temporary)}


def own_variables(
    plan: BindingPlan,
    *,
    module: str,
    work_dir: Path,
    job_id: str,
    stall_seconds: float,
    mpi: ChosenMpi = "openmpi",
) -> dict[str, str]:
    """What a rank needs, on whatever host: our own threads (those of rank 0), quiet frameworks, the job's folder."""
    threads = thread_variables(plan.ranks[0], plan.ranks)
    if not plan.here:
        threads.pop(HOROVOD_CPUS, None)  # a list for the ranks of one host: each rank sets its host's own
    return threads | {
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "HOROVOD_CYCLE_TIME": _CYCLE_TIME_MS,
        "HOROVOD_STALL_CHECK_TIME_SECONDS": str(max(1, int(min(60, stall_seconds / 2)))),
        # Only if nobody is left to end the job: the launcher judges better who is to blame, and knows a rank that works
        # from one that hangs, which Horovod does not.
        "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS": str(max(4, int(_LATER * stall_seconds))),
        **process_environment(module, mpi),
        "PYTHONUNBUFFERED": "1",
        **_KEEP_MEMORY,
        WORK_DIR: str(work_dir),
        JOB_ID: job_id,
        NUM_RANKS: str(len(plan.ranks)),
        **({} if plan.here else {SEVERAL_HOSTS: "1"}),
    }


def process_environment(module: str, mpi: ChosenMpi) -> dict[str, str]:
    """What any process under mpirun needs: root's right to run, our packages and no working folder's, a name."""
    packages = os.pathsep.join(_import_folders(module, os.environ.get("PYTHONPATH", "")))
    root = {} if mpi == "intelmpi" else {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    # PyTorch asks for a name, which the number of a container's user often lacks.
    name = {} if has_name() else {"LOGNAME": user_name(os.environ)}
    path = intel_mpi.import_path(packages) if mpi == "intelmpi" else packages
    return root | process_variables({}) | name | {"PYTHONPATH": path}


def _import_folders(module: str, inherited: str) -> Sequence[str]:
    """The folders on which the ranks find the rank module's package and ours, whatever this process did to sys.path."""
    folders = []
    for package in (module.partition(".")[0], "tandem"):
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise ModuleNotFoundError(f"no package {package!r} for the rank module {module}")
        places = [Path(place).parent for place in spec.submodule_search_locations or ()]
        folders += [str(place) for place in places or [Path(str(spec.origin)).parent]]
    given = [str(Path(folder).absolute()) for folder in inherited.split(os.pathsep) if folder]
    return list(dict.fromkeys([*folders, *given]))
