"""Keeps the wheels of Horovod that were built, one folder per set of facts, and puts the right one into the venv."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from build_horovod import MPIS, RECORD, BuildError, Mpi, build, build_facts, build_key, output, sha256, site_packages


def ensure_horovod(venv: Path, mpi_name: str) -> str:
    """Install the Horovod that fits the venv, building it when the cache has none; return what was done."""
    facts = build_facts(venv, MPIS[mpi_name])
    key, root = build_key(facts), cache_root(os.environ)
    if installed_key(venv) == key:
        return "already installed"
    wheel, begun = cached_wheel(root, key), time.monotonic()
    how = f"from {root / key}"
    if wheel is None:
        print("        compiling: about 5 minutes on 2 cores, this once", flush=True)
        wheel = build_into_cache(venv, MPIS[mpi_name], facts, root)
        how = f"built in {time.monotonic() - begun:.0f} s, kept in {root / key}"
    pip_install(venv, str(wheel))
    return how


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of cached wheels, with one folder per key: ``$XDG_CACHE_HOME/tandem/horovod``."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "tandem" / "horovod"


def installed_key(venv: Path) -> str | None:
    """Return the key of the Horovod that is installed in the venv, or None."""
    try:
        record = json.loads((site_packages(venv) / "horovod" / RECORD).read_text())
    except (OSError, ValueError):
        return None
    return str(record.get("key"))


def cached_wheel(root: Path, key: str) -> Path | None:
    """Return the cached wheel of that key when its checksum holds, or None."""
    for wheel in (root / key).glob("*.whl"):
        checksum = wheel.with_suffix(".sha256")
        if checksum.is_file() and checksum.read_text() == sha256(wheel):
            return wheel
    return None


def build_into_cache(venv: Path, mpi: Mpi, facts: Mapping[str, object], root: Path) -> Path:
    """Build the wheel of these facts and publish it under their key; return its path there.

    One build at a time per cache: a second one waits, and finds the first one's wheel. A folder gets a key for its
    name only when it is complete.
    """
    key = build_key(facts)
    with _only_one(root):
        if wheel := cached_wheel(root, key):
            return wheel
        work = Path(tempfile.mkdtemp(prefix=".build-", dir=root))
        try:
            wheel = build(venv, mpi, facts, work, log=root / "last-build.log")
            entry = work / key
            entry.mkdir()
            wheel = wheel.rename(entry / wheel.name)
            wheel.with_suffix(".sha256").write_text(sha256(wheel))
            shutil.rmtree(root / key, ignore_errors=True)
            entry.rename(root / key)
            return root / key / wheel.name
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Hold the cache's lock, and sweep what a killed build left behind."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / "lock").open("w")
    except OSError as error:
        raise BuildError(f"no place for Horovod's wheel: {error}; set XDG_CACHE_HOME to a folder of yours") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in root.glob(".build-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def pip_install(venv: Path, *requirements: str, folder: Path | None = None) -> None:
    """Install exactly these into the venv or a folder beside its packages; check that a Horovod there finds all.

    A folder gets what it is told even if the venv has the same package, which stays as it is.
    """
    where = ["--force-reinstall"] if folder is None else ["--ignore-installed", "--prefix", str(folder)]
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-deps", "--no-warn-script-location"]
    environ = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(
        [*pip, *where, *requirements],
        env={**environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise BuildError(f"{' '.join(requirements)} could not be installed: {reason}")
    check_links(venv if folder is None else folder)


def check_links(prefix: Path) -> None:
    """Raise BuildError when an extension of the Horovod in this venv or folder does not find a library."""
    for extension in (site_packages(prefix) / "horovod").glob("*/*.so"):
        lost = [line.split()[0] for line in output(["ldd", str(extension)]).splitlines() if "not found" in line]
        if lost:
            raise BuildError(f"{extension} does not find {', '.join(lost)}: run make clean setup")
