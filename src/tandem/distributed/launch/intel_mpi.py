"""How Intel MPI's launcher is started, and how its ranks find the Horovod that was built against it."""

import os
from collections.abc import Mapping

from tandem.distributed.installed import intel_mpi_packages

# One host: memory is shared, and no network is asked for; the wheels bring no libfabric to reach another one with.
# A waiting call gives its core away, as under Open MPI: Horovod's thread waits on the rank's own core.
_SETTINGS = {"I_MPI_FABRICS": "shm", "I_MPI_THREAD_YIELD": "2"}
# Named, so that no batch system in the environment is asked for hosts and for a way to start processes there.
_HERE = ("-launcher", "fork", "-hosts", "localhost")
# What it says of a rank that was killed is then of that rank alone; `Follower` has the others ended.
NO_CLEANUP = "-disable-auto-cleanup"


def start(settings: Mapping[str, str]) -> list[str]:
    """What comes between the launcher and the ranks: this host alone, and Intel MPI's settings, some of them given."""
    return [*_HERE, *(word for setting in {**_SETTINGS, **settings}.items() for word in ("-genv", *setting))]


def import_path(inherited: str) -> str:
    """The ranks' ``PYTHONPATH``: its Horovod before the environment's."""
    return os.pathsep.join([str(intel_mpi_packages()), *filter(None, [inherited])])
