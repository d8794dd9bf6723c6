"""Says what is installed, what Horovod was built against, whether two ranks can talk, and how to mend what cannot.

Nothing here imports torch, TensorFlow or Horovod: what needs them runs in children of its own.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from tandem.distributed import intel_mpi, mpirun
from tandem.distributed.doctor_surroundings import LOOKS, Check
from tandem.parameters import ChosenMpi
from tandem.surroundings import OF_JAVA, how_to_install, project_folder

JAVA_AT_LEAST = 17
SECONDS_TO_ANSWER = 10
SECONDS_TO_ALLREDUCE = 120  # some 10 on an idle machine
SET_UP = "run `make setup` in the project's folder"
INSTALL_ANEW = "run pip install again, of the wheel with its extras and of the Horovod that `make setup` made for it"
NOT_INSTALLED, NOT_TRIED, NO_MPIRUN = "not installed", "not tried", "no mpirun"
SET_UP_ANEW = "run `make clean setup` in the project's folder"
INTEL_MPI_ANEW = "run `make clean setup MPI=intelmpi` in the project's folder"
INSTALL_JAVA = (
    f"install Java {JAVA_AT_LEAST} or newer: apt-get install openjdk-17-jre-headless (Spark takes JAVA_HOME first)"
)
# The MPIs that Horovod can be built against, and what their mpirun and libmpi call themselves.
MPI_NAMES = {"openmpi": "Open MPI", "intelmpi": "Intel(R) MPI Library"}
# What the frameworks are called where packages come from.
DISTRIBUTIONS = {"torch": ("torch",), "tensorflow": ("tensorflow-cpu", "tensorflow")}
# Which models train with them.
TRAINS = {"torch": "ncf", "tensorflow": "wnd, two_tower"}
LIBRARY_VERSION = """
import ctypes, sys
text, length = ctypes.create_string_buffer(8192), ctypes.c_int()
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL).MPI_Get_library_version(text, ctypes.byref(length))
print(text.value.decode().split(",")[0])
"""

Record = Mapping[str, object]


def run_checks(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Look at everything, in about the time of the slowest check (two ranks that load TensorFlow: some 10 s).

    Intel MPI comes after the rest: four ranks at once are enough.
    """
    horovod = find_horovod()
    record = read_record(horovod)
    program = find_mpirun(environ)
    looks: list[Callable[[], Check]] = [
        check_python,
        lambda: check_java(environ),
        check_cores,
        *(partial(look, environ) for look in LOOKS),
        lambda: check_horovod(horovod, record),
        lambda: check_framework("torch", DISTRIBUTIONS["torch"], record),
        lambda: check_framework("tensorflow", DISTRIBUTIONS["tensorflow"], record),
        lambda: check_mpi(program, horovod, record),
        lambda: check_allreduce("torch", program, horovod, environ),
        lambda: check_allreduce("tensorflow", program, horovod, environ),
    ]
    answers = [*_answers(looks), *(_answers(looks_at_intel_mpi(environ)) if intel_mpi.folder().is_dir() else [])]
    return answers if project_folder() is not None else list(map(_of_a_wheel, answers))


def _of_a_wheel(check: Check) -> Check:
    """What a wheel's user has not installed is not wrong: it is told what needs it, and how to install it."""
    if check.name in TRAINS and check.found == NOT_INSTALLED:
        found = f"{NOT_INSTALLED}: needed for {TRAINS[check.name]}; {how_to_install([check.name])}"
        return replace(check, ok=True, present=False, found=found)
    if check.found.startswith((NOT_INSTALLED, NOT_TRIED)):
        return replace(check, ok=True, present=False)
    if check.name == "MPI" and check.found == NO_MPIRUN:
        found = f"{NO_MPIRUN}: needed for several ranks, with Horovod; {how_to_install(['mpi'])}"
        return replace(check, ok=True, present=False, found=found)
    return replace(check, mend=check.mend.replace(SET_UP_ANEW, INSTALL_ANEW).replace(SET_UP, INSTALL_ANEW))


def _answers(looks: Sequence[Callable[[], Check]]) -> list[Check]:
    with ThreadPoolExecutor(len(looks)) as pool:
        return [answer.result() for answer in [pool.submit(look) for look in looks]]


def looks_at_intel_mpi(environ: Mapping[str, str]) -> list[Callable[[], Check]]:
    """Return the same looks at Intel MPI and its own Horovod, for where they are installed."""
    horovod, mpiexec = intel_mpi.find_horovod(), intel_mpi.find_mpiexec()
    record = read_record(horovod)
    looks: list[Callable[[], Check]] = [
        lambda: check_horovod(horovod, record),
        lambda: check_framework("torch", DISTRIBUTIONS["torch"], record),
        lambda: check_framework("tensorflow", DISTRIBUTIONS["tensorflow"], record),
        lambda: check_mpi(mpiexec, horovod, record),
        lambda: check_allreduce("torch", mpiexec, horovod, environ, intel=True),
        lambda: check_allreduce("tensorflow", mpiexec, horovod, environ, intel=True),
    ]

    def of_intel_mpi(look: Callable[[], Check]) -> Check:
        check = look()
        return replace(check, name=f"Intel MPI: {check.name}", mend=INTEL_MPI_ANEW)

    return [partial(of_intel_mpi, look) for look in looks]


def report(checks: Sequence[Check]) -> str:
    """Return the checks as a table, and below it one line per mend."""
    width = max(len(check.name) for check in checks)
    lines = [f"{check.mark:<4}  {check.name:<{width}}  {check.found}" for check in checks]
    mends = [f"{check.name}: {check.mend}" for check in checks if not check.ok]
    return "\n".join(lines + (["", *mends] if mends else []))


def find_horovod() -> Path | None:
    """Return the folder of the installed Horovod, without importing it, or None."""
    spec = importlib.util.find_spec("horovod")
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None


def read_record(horovod: Path | None) -> Record | None:
    """Return what that Horovod was built against, as the set-up wrote it into the wheel, or None."""
    try:
        record = json.loads((horovod / "tandem_build.json").read_text()) if horovod else None
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def find_mpirun(environ: Mapping[str, str]) -> Path | None:
    """Return the mpirun of this Python's environment, else the first on the PATH, or None."""
    places = f"{Path(sys.prefix) / 'bin'}:{environ.get('PATH', os.defpath)}"
    found = shutil.which("mpirun", path=places)
    return Path(found) if found else None


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
    said = _say([java, "-version"], {name: environ[name] for name in environ if name not in OF_JAVA})
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
    installed = next((version for d in distributions if (version := _version(d))), None)
    if installed is None:
        return Check(name, False, NOT_INSTALLED, SET_UP)
    built_for = (record or {}).get(name)
    if built_for is None:
        return Check(name, True, f"{installed} (no Horovod that was built for one)")
    found = f"{installed}, Horovod built for {built_for}"
    return Check(name, installed == built_for, found, f"put {name} {built_for} back, or {SET_UP_ANEW}")


def check_mpi(program: Path | None, horovod: Path | None, record: Record | None) -> Check:
    """Mpirun and the libmpi that Horovod's extensions load are one MPI, of one version."""
    if program is None:
        return Check("MPI", False, NO_MPIRUN, SET_UP)
    if horovod is None:
        return Check("MPI", False, f"{NOT_TRIED}: no Horovod", SET_UP)
    launcher = _say([str(program), "--version"]).strip().splitlines() or ["no answer"]
    libraries = linked_libmpi(horovod)
    if len(libraries) != 1:
        found = f"{program}; Horovod links {' and '.join(map(str, sorted(libraries))) or 'no libmpi'}"
        return Check("MPI", False, found, SET_UP)
    (library,) = libraries
    version = _say([sys.executable, "-c", LIBRARY_VERSION, str(library)]).strip()
    name = MPI_NAMES.get(str((record or {}).get("mpi")), "")
    ok = bool(name) and name in launcher[0] and name in version and _number(launcher[0]) == _number(version) != ""
    found = f"{launcher[0]} at {program}; Horovod links {version} at {library}"
    return Check("MPI", ok, found, f"another MPI comes first on the PATH, or Horovod's is gone: {SET_UP_ANEW}")


def linked_libmpi(horovod: Path | None) -> set[Path]:
    """Return the libmpi files that the dynamic linker finds for Horovod's extensions (one, when all is well)."""
    extensions = sorted(horovod.glob("*/*.so")) if horovod else []
    said = "".join(_say(["ldd", str(extension)]) for extension in extensions)
    return {Path(found).resolve() for found in re.findall(r"libmpi\.so\S* => (/\S+)", said)}


def check_allreduce(
    framework: str, launcher: Path | None, horovod: Path | None, environ: Mapping[str, str], *, intel: bool = False
) -> Check:
    """Two ranks under mpirun sum a tensor each through Horovod, and both get the sum."""
    name, probe = f"allreduce ({framework})", "tandem.distributed.probe"
    if launcher is None or horovod is None:
        return Check(name, False, f"{NOT_TRIED}: {NO_MPIRUN if launcher is None else 'no Horovod'}", SET_UP)
    if not any(map(_version, DISTRIBUTIONS[framework])):
        return Check(name, False, f"{NOT_TRIED}: no {framework}", SET_UP)
    mpi: ChosenMpi = "intelmpi" if intel else "openmpi"
    command = mpirun.pair(launcher, [sys.executable, "-m", probe, framework], mpi)
    own = mpirun.process_environment(probe, mpi) | {"OMP_NUM_THREADS": "1"}
    # Open MPI puts sockets there, whose paths may have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="tandem-", dir="/tmp") as short:
        said = _say(command, mpirun.environment(own, Path(short), environ), SECONDS_TO_ALLREDUCE)
    sums = re.findall(r"^allreduce (\S+) of (\d+)$", said, flags=re.MULTILINE)
    if sums == [("3.0", "2")] * 2:
        return Check(name, True, "two ranks, the right sum")
    last = said.strip().splitlines()[-1:] or ["no output"]
    return Check(name, False, f"failed: {last[0]}", f"the MPI and Horovod lines above come first; else {SET_UP_ANEW}")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _number(text: str) -> str:
    match = re.search(r"\d+\.\d+(\.\d+)?", text)
    return match[0] if match else ""


def _say(command: list[str], environ: Mapping[str, str] | None = None, seconds: float = SECONDS_TO_ANSWER) -> str:
    """Return all that the command prints; when it takes too long, end it with all its children and say that."""
    try:
        child = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return str(error)
    try:
        return child.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        return child.communicate()[0] + f"\nno answer within {seconds:.0f} s"


if __name__ == "__main__":
    answers = run_checks()
    sys.stdout.write(report(answers) + "\n")
    sys.exit(any(not check.ok for check in answers))
