"""What is missing on the machine is named in one line, with the command that installs it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prerequisites import Missing, complaint, java_version, missing_prerequisites


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with what the set-up's shell part needs, and nothing else."""
    for program in ("sh", "dirname", "id"):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    (tmp_path / "python3.11").symlink_to(Path(sys.executable).resolve())
    return tmp_path


def put(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    (folder / name).chmod(0o755)


def test_this_machine_lacks_nothing() -> None:
    assert missing_prerequisites(os.environ) == []


def test_everything_missing_is_named_at_once(tmp_path: Path) -> None:
    missing = missing_prerequisites({"PATH": str(tmp_path)})
    assert [part.package for part in missing] == ["openjdk-17-jre-headless", "g++", "make", "binutils"]


def test_an_old_java_is_named_with_its_version(tmp_path: Path) -> None:
    put(tmp_path, "java", 'openjdk version "11.0.21" 2023-10-17')
    java = missing_prerequisites({"PATH": str(tmp_path)})[0]
    assert java.what == f"Java 17 or newer ({tmp_path}/java is Java 11)"


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    put(tmp_path, "java", 'openjdk version "21.0.1" 2023-10-17')
    java = missing_prerequisites({"PATH": str(tmp_path), "JAVA_HOME": "/nowhere"})[0]
    assert "JAVA_HOME=/nowhere" in java.what


@pytest.mark.parametrize(
    ("said", "version"),
    [('java version "1.8.0_392"', 8), ('openjdk version "17.0.15" 2025-04-15', 17), ('openjdk version "25"', 25)],
)
def test_java_says_its_version_in_several_forms(said: str, version: int) -> None:
    assert java_version(said) == version


def test_the_complaint_is_one_line_with_a_command() -> None:
    missing = [Missing("Java 17 or newer", "openjdk-17-jre-headless"), Missing("g++", "g++")]
    expected = (
        "setup: missing Java 17 or newer; g++. Run: apt-get update && apt-get install -y openjdk-17-jre-headless g++"
    )
    assert complaint(missing, user=0) == expected
    assert complaint(missing, user=1000).count("sudo ") == 2


def test_set_up_without_java_ends_in_one_line(root: Path, bare_path: Path) -> None:
    done = subprocess.run(
        [root / "setup" / "setup.sh"], env={"PATH": str(bare_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("setup: missing Java 17 or newer; g++; make; readelf. Run: ")
    assert done.stderr.count("\n") == 1


def test_set_up_without_python_ends_in_one_line(root: Path, bare_path: Path) -> None:
    (bare_path / "python3.11").unlink()
    done = subprocess.run(
        [root / "setup" / "setup.sh"], env={"PATH": str(bare_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("setup: missing Python 3.11 ")
    assert done.stderr.count("\n") == 1
