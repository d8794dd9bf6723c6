"""What is installed, what Horovod was built against, whether two ranks can talk, and how to mend what cannot.

Nothing here imports torch, TensorFlow or Horovod: what needs them runs in children of its own.
"""

import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tandem.distributed.installed import DISTRIBUTIONS, NOT_INSTALLED, Record, framework_fit, version_of
from tandem.distributed.job import Framework
from tandem.distributed.launch import mpirun
from tandem.doctor import probe
from tandem.doctor.commands import output_of
from tandem.doctor.report import Check
from tandem.parameters import ChosenMpi
from tandem.surroundings import OF_JAVA

JAVA_AT_LEAST = 17
SECONDS_TO_ALLREDUCE = 120  # some 10 on an idle machine
SET_UP = "run `make setup` in the project's folder"
NOT_TRIED, NO_MPIRUN = "not tried", "no mpirun"
SET_UP_ANEW = "run `make clean setup` in the project's folder"
INSTALL_JAVA = (
    f"install Java {JAVA_AT_LEAST} or newer: apt-get install openjdk-17-jre-headless (Spark takes JAVA_HOME first)"
)
# The MPIs that Horovod can be built against, and what their mpirun and libmpi call themselves.
MPI_NAMES = {"openmpi": "Open MPI", "intelmpi": "Intel(R) MPI Library"}
LIBRARY_VERSION = """
import ctypes, sys
text, length = ctypes.create_string_buffer(8192), ctypes.c_int()
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL).MPI_Get_library_version(text, ctypes.byref(length))
print(text.value.decode().split(",")[0])
"""


def check_python() -> Check:
    """Python is the version that every pin is for."""
    ok = sys.version_info[:2] == (3, 11)
    return Check("Python", ok, f"{sys.version.split()[0]} at {sys.executable}", "make setup needs python3.11")


def check_java(environ: Mapping[str, str]) -> Check:
    """Spark finds a Java that is new enough."""
    home = environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java", path=environ.get("PATH", os.defpath))
    if java is None:
        return Check("Java", False, "none", INSTALL_JAVA)
    if home and not os.access(java, os.X_OK):
        return Check("Java", False, f"JAVA_HOME is {home}, without a bin/java", f"unset JAVA_HOME, or {INSTALL_JAVA}")
    said = output_of([java, "-version"], {name: environ[name] for name in environ if name not in OF_JAVA})
    match = re.search(r'version "(?:1\.)?(\d+)[^"]*"', said)
    ok = match is not None and int(match[1]) >= JAVA_AT_LEAST
    return Check("Java", ok, f"{match[0] if match else 'no answer'} at {java}", INSTALL_JAVA)


def check_cores() -> Check:
    """CPUs that this process may use, out of those of the machine."""
    usable = sorted(os.sched_getaffinity(0))
    found = f"{len(usable)} of {os.cpu_count()} CPUs usable: {', '.join(map(str, usable))}"
    return Check("cores", True, found)


def check_horovod(horovod: Path | None, record: Record | None) -> Check:
    """Horovod is there, was built by this project's set-up, and for this Python."""
    if horovod is None:
        return Check("horovod", False, f"{NOT_INSTALLED}: training runs on one rank only", SET_UP)
    if record is None:
        return Check("horovod", False, f"at {horovod}, not built by this project (no tandem_build.json)", SET_UP_ANEW)
    built_for, here = record.get("python"), sysconfig.get_config_var("SOABI")
    found = f"{record.get('horovod')}, built with {record.get('compiler')} for {built_for}"
    return Check("horovod", built_for == here, found, f"this Python is {here}: {SET_UP_ANEW}")


def check_framework(name: str, distributions: Sequence[str], record: Record | None) -> Check:
    """The framework is installed in exactly the version that Horovod was built against (Horovod itself only warns)."""
    fit = framework_fit(name, distributions, record)
    mend = SET_UP if fit.installed is None else f"put {name} {fit.built_for} back, or {SET_UP_ANEW}"
    return Check(name, fit.ok, fit.found, mend)


def check_mpi(program: Path | None, horovod: Path | None, record: Record | None) -> Check:
    """Mpirun and the libmpi that Horovod's extensions load are one MPI, of one version."""
    if program is None:
        return Check("MPI", False, NO_MPIRUN, SET_UP)
    if horovod is None:
        return Check("MPI", False, f"{NOT_TRIED}: no Horovod", SET_UP)
    launcher = output_of([str(program), "--version"]).strip().splitlines() or ["no answer"]
    libraries = linked_libmpi(horovod)
    if len(libraries) != 1:
        found = f"{program}; Horovod links {' and '.join(map(str, sorted(libraries))) or 'no libmpi'}"
        return Check("MPI", False, found, SET_UP)
    (library,) = libraries
    version = output_of([sys.executable, "-c", LIBRARY_VERSION, str(library)]).strip()
    name = MPI_NAMES.get(str((record or {}).get("mpi")), "")
    ok = bool(name) and name in launcher[0] and name in version and _number(launcher[0]) == _number(version) != ""
    found = f"{launcher[0]} at {program}; Horovod links {version} at {library}"
    return Check("MPI", ok, found, f"another MPI comes first on the PATH, or Horovod's is gone: {SET_UP_ANEW}")


def linked_libmpi(horovod: Path | None) -> set[Path]:
    """Return the libmpi files that the dynamic linker finds for Horovod's extensions (one, when all is well)."""
    extensions = sorted(horovod.glob("*/*.so")) if horovod else []
    said = "".join(output_of(["ldd", str(extension)]) for extension in extensions)
    return {Path(found).resolve() for found in re.findall(r"libmpi\.so\S* => (/\S+)", said)}


def check_allreduce(
    framework: Framework,
    launcher: Path | None,
    horovod: Path | None,
    environ: Mapping[str, str],
    mpi: ChosenMpi = "openmpi",
) -> Check:
    """Two ranks under mpirun sum a tensor each through Horovod, and both get the sum."""
    name = f"allreduce ({framework})"
    if launcher is None or horovod is None:
        return Check(name, False, f"{NOT_TRIED}: {NO_MPIRUN if launcher is None else 'no Horovod'}", SET_UP)
    if not any(map(version_of, DISTRIBUTIONS[framework])):
        return Check(name, False, f"{NOT_TRIED}: no {framework}", SET_UP)
    command = mpirun.pair(launcher, [sys.executable, "-m", probe.__name__, framework], mpi)
    own = mpirun.process_environment(probe.__name__, mpi) | {"OMP_NUM_THREADS": "1"}
    # Open MPI puts sockets there, whose paths may have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="tandem-", dir="/tmp") as short:
        said = output_of(command, mpirun.environment(own, Path(short), environ), SECONDS_TO_ALLREDUCE)
    sums = re.findall(r"^allreduce (\S+) of (\d+)$", said, flags=re.MULTILINE)
    if sums == [("3.0", "2")] * 2:
        return Check(name, True, "two ranks, the right sum")
    last = said.strip().splitlines()[-1:] or ["no output"]
    return Check(name, False, f"failed: {last[0]}", f"the MPI and Horovod lines above come first; else {SET_UP_ANEW}")


def _number(text: str) -> str:
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match[0] if match else ""
