"""Horovod against Intel MPI, beside the build against Open MPI: both in one venv, and `distributed.mpi` chooses.

The wheels of both MPIs bring a mpirun, a mpicxx and a mpi.h, so Intel's live in a folder of their own inside the venv.
The Horovod built against them lies there too, and comes first on the path of the ranks that are to use it. It is not in
`build_horovod.py`, as a change of that file makes another wheel for every MPI.
"""

import shutil
import time
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from build_horovod import MPIS, Mpi, build_facts, build_key, site_packages
from horovod_cache import build_into_cache, cache_root, cached_wheel, installed_key, pip_install

NAME = "intelmpi"
WHEELS = ("impi-rt", "impi-devel")
FOLDER = Path("lib/tandem/intelmpi")  # inside the venv
# From FOLDER/lib/python3.11/site-packages/horovod/<framework>/ to the venv's own packages: Horovod's run path leads to
# the frameworks only where they lie beside it.
_PACKAGES = f"$ORIGIN/{'../' * 7}python3.11/site-packages"
_FRAMEWORKS = (f"{_PACKAGES}/torch/lib", f"{_PACKAGES}/tensorflow", f"{_PACKAGES}/tensorflow/python")
LINKER_FLAGS = f"-Wl,--enable-new-dtags -Wl,-rpath,{':'.join(_FRAMEWORKS)}"


class IntelMpi(Mpi):
    """Intel MPI in its folder of the venv."""

    def hints(self, venv: Path) -> dict[str, str]:
        """Where CMake's FindMPI and Intel's own mpicxx find it, and where the extensions find the frameworks."""
        root = str(venv / FOLDER)
        return {"MPI_HOME": root, "I_MPI_ROOT": root, "LDFLAGS": LINKER_FLAGS}


INTEL_MPI = IntelMpi(NAME, WHEELS[0])


def intel_facts(venv: Path) -> dict[str, object]:
    """Return everything that this wheel depends on: all that the other one does, but for the MPI."""
    facts = build_facts(venv, MPIS["openmpi"])
    return {**facts, "mpi": NAME, "mpi_version": _installed(venv)[WHEELS[0]], "linker_flags": LINKER_FLAGS}


def ensure_intel_mpi(venv: Path, pinned: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Put the pinned Intel MPI and a Horovod built against it into their folder; return what was done."""
    wanted = {name: pinned[name] for name in WHEELS}
    if _installed(venv) != wanted:
        shutil.rmtree(venv / FOLDER, ignore_errors=True)
        pip_install(venv, *(f"{name}=={version}" for name, version in wanted.items()), folder=venv / FOLDER)
    facts = intel_facts(venv)
    key, root = build_key(facts), cache_root(environ)
    if installed_key(venv / FOLDER) == key:
        return "already installed"
    wheel, begun = cached_wheel(root, key), time.monotonic()
    how = f"from {root / key}"
    if wheel is None:
        print("        compiling: about 5 minutes on 2 cores, this once", flush=True)
        wheel = build_into_cache(venv, INTEL_MPI, facts, root)
        how = f"built in {time.monotonic() - begun:.0f} s, kept in {root / key}"
    shutil.rmtree(site_packages(venv / FOLDER) / "horovod", ignore_errors=True)
    pip_install(venv, str(wheel), folder=venv / FOLDER)
    return how


def _installed(venv: Path) -> dict[str, str]:
    """The versions of Intel's wheels in their folder."""
    found = distributions(path=[str(site_packages(venv / FOLDER))])
    versions = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in found}
    return {name: version for name, version in versions.items() if name in WHEELS}
