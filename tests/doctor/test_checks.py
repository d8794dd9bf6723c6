"""What the doctor finds, and that nothing that is missing ends in a traceback."""

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from tandem.distributed import installed
from tandem.distributed.installed import find_horovod, find_mpirun, read_record
from tandem.doctor import checks, examination
from tandem.doctor.examination import run_checks
from tandem.doctor.report import Check, report

SOABI = sysconfig.get_config_var("SOABI")
RECORD = {"horovod": "0.28.1", "python": SOABI, "compiler": "g++ 12", "torch": "2.13.0+cpu", "mpi": "openmpi"}


def program(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_the_table_has_a_line_per_check_and_a_mend_per_failure() -> None:
    table = report([Check("Java", True, "17", "never shown"), Check("horovod", False, "none", "make setup")])
    assert table.splitlines() == ["ok    Java     17", "FAIL  horovod  none", "", "horovod: make setup"]


def test_no_framework_is_imported_with_the_doctor() -> None:
    code = "import sys, tandem.doctor.examination; print({'torch', 'tensorflow', 'horovod'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(("said", "ok"), [('openjdk version "21.0.1"', True), ('java version "1.8.0_392"', False)])
def test_java_must_be_new_enough(said: str, ok: bool, tmp_path: Path) -> None:
    program(tmp_path, "java", f"echo '{said}' >&2")
    check = checks.check_java({"PATH": str(tmp_path)})
    assert check.ok is ok
    assert "apt-get install openjdk" in check.mend


@pytest.mark.parametrize("environ", [{"PATH": "/nowhere"}, {"JAVA_HOME": "/nowhere"}])
def test_a_missing_java_is_reported(environ: dict[str, str]) -> None:
    assert not checks.check_java(environ).ok


def test_the_record_of_another_torch_does_not_fit() -> None:
    check = checks.check_framework("torch", ("torch",), {**RECORD, "torch": "2.12.1+cpu"})
    assert not check.ok
    assert "Horovod built for 2.12.1+cpu" in check.found
    assert "make clean setup" in check.mend


def test_the_installed_torch_fits_its_own_record() -> None:
    assert checks.check_framework("torch", ("torch",), RECORD).ok


def test_a_framework_that_is_not_installed_is_reported() -> None:
    check = checks.check_framework("torch", ("no-such-distribution",), RECORD)
    assert (check.ok, check.found) == (False, "not installed")


def test_a_horovod_for_another_python_does_not_fit(tmp_path: Path) -> None:
    assert checks.check_horovod(tmp_path, RECORD).ok
    check = checks.check_horovod(tmp_path, {**RECORD, "python": "cpython-312-x86_64-linux-gnu"})
    assert not check.ok
    assert SOABI in check.mend


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_a_horovod_without_a_readable_record_is_not_ours(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "tandem_build.json").write_text(text)
    assert read_record(tmp_path) is None
    check = checks.check_horovod(tmp_path, None)
    assert not check.ok
    assert "not built by this project" in check.found


def hide_open_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no Horovod and no mpirun but Intel MPI's."""
    for name, real in (("find_horovod", find_horovod), ("find_mpirun", find_mpirun)):
        monkeypatch.setattr(
            examination, name, lambda mpi, *rest, real=real: None if mpi == "openmpi" else real(mpi, *rest)
        )


def test_everything_missing_is_reported_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_open_mpi(monkeypatch)
    found = {check.name: check for check in run_checks({"PATH": "/nowhere"})}
    failed = {"Java", "horovod", "MPI", "allreduce (torch)", "allreduce (tensorflow)"}
    assert {name for name, check in found.items() if not check.ok} == failed
    assert all(found[name].mend for name in failed)


def test_an_mpirun_of_another_mpi_does_not_fit(tmp_path: Path) -> None:
    mpirun = program(tmp_path, "mpirun", "echo 'Intel(R) MPI Library, Version 5.0.11'")
    horovod = find_horovod()
    check = checks.check_mpi(mpirun, horovod, read_record(horovod))
    assert not check.ok
    assert "Intel(R) MPI" in check.found
    assert "Horovod links Open MPI" in check.found


def test_an_mpirun_of_another_version_does_not_fit(tmp_path: Path) -> None:
    mpirun = program(tmp_path, "mpirun", "echo 'mpirun (Open MPI) 4.1.4'")
    horovod = find_horovod()
    assert not checks.check_mpi(mpirun, horovod, read_record(horovod)).ok


def test_a_horovod_without_libmpi_does_not_fit(tmp_path: Path) -> None:
    check = checks.check_mpi(program(tmp_path, "mpirun", "echo 'mpirun (Open MPI) 5.0.11'"), tmp_path, RECORD)
    assert not check.ok
    assert "links no libmpi" in check.found


def test_the_last_line_of_a_failed_allreduce_is_shown(tmp_path: Path) -> None:
    mpirun = program(tmp_path, "mpirun", "echo first; echo 'cannot talk'; exit 1")
    check = checks.check_allreduce("torch", mpirun, tmp_path, os.environ)
    assert (check.ok, check.found) == (False, "failed: cannot talk")


def test_a_wrong_sum_is_a_failure(tmp_path: Path) -> None:
    mpirun = program(tmp_path, "mpirun", "echo 'allreduce 1.0 of 1'; echo 'allreduce 1.0 of 1'")
    assert not checks.check_allreduce("torch", mpirun, tmp_path, os.environ).ok


def test_ranks_that_hang_are_ended_with_their_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SECONDS_TO_ALLREDUCE", 0.3)
    mpirun = program(tmp_path, "mpirun", "sleep 60 & wait")
    begun = time.monotonic()
    check = checks.check_allreduce("torch", mpirun, tmp_path, os.environ)
    assert check.found == "failed: no answer within 0 s"
    assert time.monotonic() - begun < 30, "the grandchild held the pipe open to its own end"


def test_an_outer_launchers_variables_do_not_reach_the_ranks(tmp_path: Path) -> None:
    mpirun = program(tmp_path, "mpirun", "env")
    outer = {"PATH": os.environ["PATH"], "OMPI_COMM_WORLD_RANK": "3", "PMIX_RANK": "3", "HOROVOD_RANK": "3"}
    outer |= {"SLURM_JOB_ID": "7", "PBS_NODEFILE": "/x"}
    program(tmp_path, "mpirun", f"env > {tmp_path}/seen")
    checks.check_allreduce("torch", mpirun, tmp_path, outer)
    seen = (tmp_path / "seen").read_text()
    assert "RANK" not in seen
    assert "SLURM_" not in seen
    assert "PBS_" not in seen
    assert "TMPDIR=/tmp/tandem-" in seen


def test_intel_mpi_is_looked_at_where_it_is_installed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_open_mpi(monkeypatch)
    monkeypatch.setattr(installed, "intel_mpi_folder", lambda: tmp_path / "nowhere")
    assert not any(check.name.startswith("Intel MPI") for check in run_checks({"PATH": "/nowhere"}))
    monkeypatch.setattr(installed, "intel_mpi_folder", lambda: tmp_path)
    found = {check.name: check for check in run_checks({"PATH": "/nowhere"}) if "Intel MPI" in check.name}
    names = ("horovod", "torch", "tensorflow", "MPI", "allreduce (torch)", "allreduce (tensorflow)")
    assert set(found) == {f"Intel MPI: {name}" for name in names}
    broken = found["Intel MPI: allreduce (torch)"]
    assert (broken.ok, broken.found) == (False, "not tried: no mpirun")
    assert "make clean setup MPI=intelmpi" in broken.mend


def test_intel_mpi_is_told_to_run_two_ranks_that_find_its_horovod(tmp_path: Path) -> None:
    mpiexec = program(tmp_path, "mpiexec.hydra", f'echo "$PYTHONPATH $@" > {tmp_path}/seen')
    checks.check_allreduce("torch", mpiexec, tmp_path, {"PATH": os.environ["PATH"]}, "intelmpi")
    seen = (tmp_path / "seen").read_text()
    path, _, arguments = seen.partition(" ")
    assert path.split(":")[0] == str(installed.intel_mpi_packages())
    assert arguments.startswith("-launcher fork")
    assert "-n 2" in seen
    assert "--map-by" not in seen


@pytest.mark.skipif(
    find_horovod("intelmpi") is None, reason=f"there is no Horovod for Intel MPI: {installed.INTEL_MPI_SET_UP}"
)
def test_each_horovod_links_the_mpi_that_it_was_built_against() -> None:
    linked = {}
    for name, horovod in (("openmpi", find_horovod()), ("intelmpi", find_horovod("intelmpi"))):
        record = read_record(horovod)
        assert record is not None
        assert record["mpi"] == name
        (linked[name],) = checks.linked_libmpi(horovod)
    assert installed.intel_mpi_folder() in linked["intelmpi"].parents
    assert installed.intel_mpi_folder() not in linked["openmpi"].parents


@pytest.mark.slow
def test_all_is_well_here_and_two_ranks_sum_with_both_frameworks() -> None:
    found = run_checks()
    assert [check for check in found if not check.ok] == []
    names = {check.name for check in found}
    assert {"allreduce (torch)", "allreduce (tensorflow)"} <= names
    assert ("Intel MPI: allreduce (torch)" in names) == installed.intel_mpi_folder().is_dir()
