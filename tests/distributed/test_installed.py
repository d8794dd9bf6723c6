"""What is found of frameworks, Horovod and MPIs, without importing any of them."""

import json
import sys
from pathlib import Path

import pytest

from tandem.distributed import installed
from tandem.distributed.installed import FrameworkFit, find_horovod, find_mpirun, framework_fit, horovod_missing

NAMED = {"horovod", "python", "compiler", "torch", "mpi"}


def test_the_mpirun_of_this_environment_comes_first(tmp_path: Path) -> None:
    other = tmp_path / "mpirun"
    other.touch(0o755)
    assert find_mpirun(environ={"PATH": str(tmp_path)}) == Path(sys.prefix) / "bin" / "mpirun"


def test_another_mpirun_is_taken_where_this_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_mpirun(environ={"PATH": "/nowhere"}) is None
    other = tmp_path / "other" / "mpirun"
    other.parent.mkdir()
    other.touch(0o755)
    assert find_mpirun(environ={"PATH": f"/nowhere:{other.parent}"}) == other


def test_the_record_in_the_wheel_names_what_it_was_built_against() -> None:
    horovod = find_horovod()
    assert horovod is not None
    record = json.loads((horovod / "tandem_build.json").read_text())
    assert set(record) >= NAMED
    assert len(record["key"]) == 20


@pytest.mark.parametrize(
    ("fit", "ok", "found"),
    [
        (FrameworkFit(None, "2.13"), False, "not installed"),
        (FrameworkFit("2.13", None), True, "2.13 (no Horovod that was built for one)"),
        (FrameworkFit("2.13", "2.13"), True, "2.13, Horovod built for 2.13"),
        (FrameworkFit("2.13", "2.12"), False, "2.13, Horovod built for 2.12"),
    ],
)
def test_a_framework_fits_in_exactly_the_version_that_horovod_was_built_for(
    fit: FrameworkFit, ok: bool, found: str
) -> None:
    assert (fit.ok, fit.found) == (ok, found)


def test_the_first_of_a_frameworks_distributions_that_is_installed_counts() -> None:
    fit = framework_fit("torch", ("no-such-distribution", "torch"), {"torch": "1.0"})
    assert fit.built_for == "1.0"
    assert fit.installed is not None
    assert fit.installed.startswith("2.")


def test_why_horovod_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert horovod_missing("torch") is None
    monkeypatch.setattr(installed, "find_horovod", lambda _: tmp_path)
    assert horovod_missing("torch") == "Horovod was built without torch"
    monkeypatch.setattr(installed, "find_horovod", lambda _: None)
    assert horovod_missing("torch") == "Horovod is not installed"
    assert horovod_missing("torch", "intelmpi") == "there is no Horovod for Intel MPI"
