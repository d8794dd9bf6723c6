"""What is installed for jobs of several ranks: frameworks, Horovod and what it was built against, mpirun, Intel MPI.

It is looked for, and nothing of it is imported. Intel MPI lies in a folder of its own inside this Python's environment,
beside Open MPI, with a Horovod that was built against it.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tandem.distributed.job import Framework
from tandem.errors import UserError
from tandem.parameters import ChosenMpi

NOT_INSTALLED = "not installed"
INTEL_MPI_SET_UP = "make setup MPI=intelmpi"
# What the frameworks are called where packages come from.
DISTRIBUTIONS: Mapping[Framework, Sequence[str]] = {
    "torch": ("torch",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
}
_EXTENSIONS = {"torch": "mpi_lib_v2", "tensorflow": "mpi_lib"}

Record = Mapping[str, object]
"""What a Horovod was built against: ``tandem_build.json`` in its folder."""


@dataclass(frozen=True)
class FrameworkFit:
    """A framework's installed version beside the one that Horovod was built for (Horovod itself only warns)."""

    installed: str | None
    built_for: str | None

    @property
    def ok(self) -> bool:
        """Whether it is installed, in exactly the version that Horovod was built for where there is a Horovod."""
        return self.installed is not None and self.built_for in (None, self.installed)

    @property
    def found(self) -> str:
        """Both versions in words."""
        if self.installed is None:
            return NOT_INSTALLED
        if self.built_for is None:
            return f"{self.installed} (no Horovod that was built for one)"
        return f"{self.installed}, Horovod built for {self.built_for}"


def framework_fit(framework: str, distributions: Sequence[str], record: Record | None) -> FrameworkFit:
    """Compare the first of these distributions that is installed with the record of a Horovod."""
    installed = next((version for name in distributions if (version := version_of(name))), None)
    built_for = (record or {}).get(framework)
    return FrameworkFit(installed, None if built_for is None else str(built_for))


def version_of(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def find_horovod(mpi: ChosenMpi = "openmpi") -> Path | None:
    """The folder of the Horovod that was built against this MPI, or None.

    For Open MPI it is the one on this process's own path: in a rank, whatever the MPI, the one that it imports.
    """
    if mpi == "intelmpi":
        beside = intel_mpi_packages() / "horovod"
        return beside if beside.is_dir() else None
    spec = importlib.util.find_spec("horovod")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def read_record(horovod: Path | None) -> Record | None:
    """What that Horovod was built against, as the set-up wrote it into the wheel, or None."""
    try:
        record = json.loads((horovod / "tandem_build.json").read_text()) if horovod else None
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def horovod_missing(framework: Framework, mpi: ChosenMpi = "openmpi") -> str | None:
    """Why Horovod cannot be used with this framework here; None when it can."""
    horovod = find_horovod(mpi)
    if horovod is None:
        return "there is no Horovod for Intel MPI" if mpi == "intelmpi" else "Horovod is not installed"
    if not any((horovod / framework).glob(f"{_EXTENSIONS[framework]}*.so")):
        return f"Horovod was built without {framework}"
    fit = framework_fit(framework, DISTRIBUTIONS[framework], read_record(horovod))
    return None if fit.ok else f"{framework} is {fit.found}"


def find_mpirun(mpi: ChosenMpi = "openmpi", environ: Mapping[str, str] = os.environ) -> Path | None:
    """Open MPI's mpirun: beside this Python (whose Horovod was built against it), or else on PATH. Or Intel MPI's.

    The ``mpirun`` of Intel MPI is a shell script that looks for batch systems: its ``mpiexec.hydra`` is taken.
    """
    if mpi == "intelmpi":
        launcher = intel_mpi_folder() / "bin" / "mpiexec.hydra"
        return launcher if launcher.is_file() else None
    places = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    found = shutil.which("mpirun", path=places)
    return Path(found) if found else None


def mpirun_missing(mpi: ChosenMpi = "openmpi") -> str | None:
    """Why there is no mpirun; None when there is one."""
    if find_mpirun(mpi) is not None:
        return None
    if mpi == "intelmpi":
        return f"there is no Intel MPI in {intel_mpi_folder()}"
    return f"there is no mpirun beside {sys.executable} and none on PATH"


def required_mpirun(mpi: ChosenMpi = "openmpi") -> Path:
    """The mpirun that ``find_mpirun`` finds. Raises UserError where there is none."""
    found = find_mpirun(mpi)
    if found is None:
        raise UserError(f"{mpirun_missing(mpi)}; install it: {set_up(mpi)}")
    return found


def set_up(mpi: ChosenMpi) -> str:
    """The command that installs this MPI, with a Horovod for it."""
    return INTEL_MPI_SET_UP if mpi == "intelmpi" else "make setup"


def intel_mpi_folder() -> Path:
    """Where Intel MPI is, if it is installed."""
    return Path(sys.prefix) / "lib" / "tandem" / "intelmpi"


def intel_mpi_packages() -> Path:
    """What comes first on the path of ranks that use Intel MPI: the folder of its own Horovod."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return intel_mpi_folder() / "lib" / python / "site-packages"
