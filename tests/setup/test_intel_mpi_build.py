"""A second Horovod, against Intel MPI: a wheel of its own key, in a folder of its own, and the first one as it was."""

import json
from pathlib import Path
from typing import Any

import horovod_cache
import intel_mpi
import pytest
from build_horovod import MPIS, build_environment, build_facts, build_key, sha256, site_packages
from intel_mpi import FOLDER, INTEL_MPI, LINKER_FLAGS, WHEELS, ensure_intel_mpi, intel_facts

PINS = dict.fromkeys(WHEELS, "2021.19.0")


def put_wheels(folder: Path, version: str = "2021.19.0") -> None:
    for name in WHEELS:
        place = site_packages(folder) / f"{name.replace('-', '_')}-{version}.dist-info"
        place.mkdir(parents=True)
        (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def put_wheel_into_cache(cache: Path, key: str) -> Path:
    entry = cache / "tandem" / "horovod" / key
    entry.mkdir(parents=True)
    (entry / "horovod.whl").write_bytes(b"whole")
    (entry / "horovod.sha256").write_text(sha256(entry / "horovod.whl"))
    return entry / "horovod.whl"


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What pip would have been told; where it is Intel's wheels, they are there afterwards."""
    told: list[tuple[Any, ...]] = []

    def pip_install(venv: Path, *requirements: str, folder: Path) -> None:
        told.append((*requirements, folder))
        if requirements[0].startswith("impi"):
            put_wheels(folder)

    monkeypatch.setattr(intel_mpi, "pip_install", pip_install)
    return told


def test_the_facts_are_those_of_the_other_build_but_for_the_mpi(venv: Path) -> None:
    put_wheels(venv / FOLDER)
    facts, other = intel_facts(venv), build_facts(venv, MPIS["openmpi"])
    assert (facts["mpi"], facts["mpi_version"]) == ("intelmpi", "2021.19.0")
    assert {name for name in facts if facts[name] != other.get(name)} == {"mpi", "mpi_version", "linker_flags"}
    assert build_key(facts) != build_key(other)


def test_the_build_finds_intel_mpi_and_not_the_one_of_the_venv(venv: Path) -> None:
    environment = build_environment(venv, INTEL_MPI)
    assert environment["MPI_HOME"] == environment["I_MPI_ROOT"] == str(venv / "lib/tandem/intelmpi")
    assert environment["LDFLAGS"] == LINKER_FLAGS


@pytest.mark.parametrize("framework", ["torch/lib", "tensorflow", "tensorflow/python"])
def test_the_extensions_find_the_frameworks_of_the_venv(venv: Path, framework: str) -> None:
    extension = site_packages(venv / FOLDER) / "horovod" / "torch"
    places = LINKER_FLAGS.rpartition("-rpath,")[2].replace("$ORIGIN", str(extension)).split(":")
    assert site_packages(venv) / framework in {Path(place).resolve() for place in places}


def test_both_are_put_into_the_folder_alone(venv: Path, tmp_path: Path, installs: list[tuple[Any, ...]]) -> None:
    put_wheels(venv / FOLDER, version="2021.18.0")
    key = build_key({**intel_facts(venv), "mpi_version": "2021.19.0"})
    wheel = put_wheel_into_cache(tmp_path / "cache", key)
    said = ensure_intel_mpi(venv, PINS, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert said == f"from {wheel.parent}"
    assert installs == [
        ("impi-rt==2021.19.0", "impi-devel==2021.19.0", venv / FOLDER),
        (str(wheel), venv / FOLDER),
    ]


def test_what_is_there_is_left_alone(venv: Path, tmp_path: Path, installs: list[tuple[Any, ...]]) -> None:
    put_wheels(venv / FOLDER)
    record = site_packages(venv / FOLDER) / "horovod" / "tandem_build.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"key": build_key(intel_facts(venv))}))
    assert ensure_intel_mpi(venv, PINS, {"XDG_CACHE_HOME": str(tmp_path)}) == "already installed"
    assert installs == []


def test_a_folder_gets_what_it_is_told_and_the_venv_keeps_what_it_has(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (venv / "bin").mkdir()
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {venv}/told\n')
    python.chmod(0o755)
    monkeypatch.setattr(horovod_cache, "check_links", lambda prefix: None)
    horovod_cache.pip_install(venv, "horovod.whl", folder=venv / FOLDER)
    horovod_cache.pip_install(venv, "horovod.whl")
    beside, inside = (venv / "told").read_text().splitlines()
    assert f"--ignore-installed --prefix {venv / FOLDER} horovod.whl" in beside
    assert "--force-reinstall" not in beside
    assert "--force-reinstall horovod.whl" in inside


def test_what_pip_says_last_is_in_the_error(venv: Path) -> None:
    (venv / "bin").mkdir()
    python = venv / "bin" / "python"
    python.write_text("#!/bin/sh\necho first >&2; echo 'no such version' >&2; exit 1\n")
    python.chmod(0o755)
    with pytest.raises(horovod_cache.BuildError, match=r"impi-rt==1 could not be installed: no such version"):
        horovod_cache.pip_install(venv, "impi-rt==1", folder=venv / FOLDER)
