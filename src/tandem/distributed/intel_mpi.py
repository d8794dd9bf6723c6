"""Intel MPI: where the set-up puts it, with the Horovod built against it, and how its launcher is started.

It lies in a folder of its own inside this Python's environment, beside Open MPI and the Horovod for that. Ranks that
use it find its Horovod first.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

SET_UP = "make setup MPI=intelmpi"
# One host: memory is shared, and no network is asked for; the wheels bring no libfabric to reach another one with.
# A waiting call gives its core away, as under Open MPI: Horovod's thread waits on the rank's own core.
_SETTINGS = {"I_MPI_FABRICS": "shm", "I_MPI_THREAD_YIELD": "2"}
# Named, so that no batch system in the environment is asked for hosts and for a way to start processes there.
_HERE = ("-launcher", "fork", "-hosts", "localhost")
# What it says of a rank that was killed is then of that rank alone; `Follower` has the others ended.
NO_CLEANUP = "-disable-auto-cleanup"


def folder() -> Path:
    """Where it is, if it is installed."""
    return Path(sys.prefix) / "lib" / "tandem" / "intelmpi"


def packages() -> Path:
    """What comes first on the path of ranks that use it."""
    return folder() / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def find_horovod() -> Path | None:
    """The Horovod that was built against it, or None."""
    found = packages() / "horovod"
    return found if found.is_dir() else None


def find_mpiexec() -> Path | None:
    """Its launcher, or None. The ``mpirun`` beside it is a shell script that looks for batch systems."""
    found = folder() / "bin" / "mpiexec.hydra"
    return found if found.is_file() else None


def start(settings: Mapping[str, str]) -> list[str]:
    """What comes between the launcher and the ranks: this host alone, and Intel MPI's settings, some of them given."""
    return [*_HERE, *(word for setting in {**_SETTINGS, **settings}.items() for word in ("-genv", *setting))]


def import_path(inherited: str) -> str:
    """The ranks' ``PYTHONPATH``: its Horovod before the environment's."""
    return os.pathsep.join([str(packages()), *filter(None, [inherited])])
