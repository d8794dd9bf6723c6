"""The variables by which a rank's libraries take the threads and CPUs of the plan."""

from collections.abc import Sequence

from tandem.distributed.binding.table import RankBinding

HOROVOD_CPUS = "HOROVOD_THREAD_AFFINITY"
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def thread_variables(rank: RankBinding, ranks: Sequence[RankBinding]) -> dict[str, str]:
    """The variables of one rank's threads; on hosts of other sizes they are others.

    Horovod takes a list for all ranks of a host, so its thread has a CPU of its own on each of them or on none.
    """
    found = dict.fromkeys(_THREAD_VARIABLES, str(rank.threads))
    if rank.bound:
        found |= {"OMP_PROC_BIND": "close", "OMP_PLACES": "threads" if rank.threads > len(rank.cores) else "cores"}
    local = [other.horovod_cpu for other in ranks if other.host == rank.host]
    if all(cpu is not None for cpu in local):
        found[HOROVOD_CPUS] = ",".join(map(str, local))
    return found
