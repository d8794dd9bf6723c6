"""What the machine must bring before anything can be installed, and the one command that brings it."""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

JAVA_AT_LEAST = 17


@dataclass(frozen=True)
class Missing:
    """A prerequisite that is not there: what was expected and found, and Debian's package for it."""

    what: str
    package: str


def missing_prerequisites(environ: Mapping[str, str]) -> list[Missing]:
    """Return what is missing, in the order in which it is needed."""
    path = environ.get("PATH", os.defpath)
    found = [_missing_java(environ)]
    for program, package in (("g++", "g++"), ("make", "make"), ("readelf", "binutils")):
        if shutil.which(program, path=path) is None:
            found.append(Missing(program, package))
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        found.append(Missing("Python.h, the headers of Python 3.11", "python3.11-dev"))
    if find_spec("ensurepip") is None:
        found.append(Missing("Python 3.11's venv module", "python3.11-venv"))
    return [missing for missing in found if missing]


def complaint(missing: list[Missing], user: int) -> str:
    """Return the one line that names what is missing and the command that installs it, for the user of that uid."""
    sudo = "" if user == 0 else "sudo "
    packages = " ".join(dict.fromkeys(part.package for part in missing))
    names = "; ".join(part.what for part in missing)
    return f"setup: missing {names}. Run: {sudo}apt-get update && {sudo}apt-get install -y {packages}"


def _missing_java(environ: Mapping[str, str]) -> Missing | None:
    """Look where Spark looks: under JAVA_HOME when that is set, else on the PATH."""
    package = "openjdk-17-jre-headless"
    wanted = f"Java {JAVA_AT_LEAST} or newer"
    home = environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java", path=environ.get("PATH", os.defpath))
    if java is None or not Path(java).is_file():
        return Missing(f"{wanted} (none at JAVA_HOME={home})" if home else wanted, package)
    answer = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    version = java_version(answer.stderr)
    if version is None or version < JAVA_AT_LEAST:
        return Missing(f"{wanted} ({java} is Java {version or 'of no known version'})", package)
    return None


def java_version(text: str) -> int | None:
    """Return the major version in what ``java -version`` printed (8 for the old form "1.8.0_392"), or None."""
    match = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
