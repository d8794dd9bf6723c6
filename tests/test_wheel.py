"""What `kedro package` makes, used by somebody who has neither the project nor more than the wheel asks for."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packaging.requirements import Requirement

from projects import ROOT

EXTRAS = ("torch", "als")
# Kedro lets its build fetch setuptools; here it takes the one that is installed, so that the test needs no network.
PACKAGE = """
import sys
from kedro.framework.cli import project
from kedro.framework.cli.cli import main
call = project.call
project.call = lambda command, **where: call([*command, *(["--no-isolation"] if "build" in command else [])], **where)
sys.argv = ["kedro", "package"]
main()
"""
(README_CODE,) = re.findall(r"^```python\n(.+?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
CHECKS = """
import sys
print(tuple(logits.shape), tuple(best.shape), model.config.users.num_ids, int(best.min()) > 0)
print(sorted({"kedro", "pyspark", "horovod", "tensorflow"} & set(sys.modules)))
print(sys.modules["tandem"].__file__)
"""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an empty folder with the configuration's archive to work in."""

    environment: Path
    folder: Path

    def call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One of the environment's programs, started in the folder as in a fresh shell."""
        path = f"{self.environment / 'bin'}:{os.defpath}:{os.environ['PATH']}"
        kept = {name: os.environ[name] for name in ("HOME", "JAVA_HOME", "XDG_CACHE_HOME") if name in os.environ}
        return subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.folder,
            env=kept | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``dist`` as ``kedro package`` fills it, made from a copy: nothing is built in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("conf", "src/tandem"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "conf" / "local" / "credentials.yml").write_text("secret: value\n")
    done = subprocess.run([sys.executable, "-c", PACKAGE], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


@pytest.fixture(scope="module")
def installed(packaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment that holds what it asks for, with the extras torch and als, and nothing else."""
    environment, folder = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere")
    venv.create(environment, symlinks=True)
    packages = environment / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    (wheel,) = packaged.glob("*.whl")
    command = ["-m", "pip", "--python", str(environment / "bin" / "python"), "install", "--no-deps", "--no-index"]
    subprocess.run([sys.executable, *command, "--quiet", "--ignore-installed", str(wheel)], check=True)
    (metadata,) = packages.glob("tandem_recsys-*.dist-info")
    for distribution in needed(importlib.metadata.Distribution.at(metadata), EXTRAS):
        for name in {file.parts[0] for file in distribution.files or () if file.parts[0] != ".."}:
            if name != "__pycache__" and not (packages / name).exists():
                (packages / name).symlink_to(str(distribution.locate_file(name)))
    shutil.copy(packaged / "conf-tandem.tar.gz", folder)
    return Installed(environment, folder)


def needed(of: importlib.metadata.Distribution, extras: tuple[str, ...]) -> list[importlib.metadata.Distribution]:
    """What a distribution with these extras asks for, and what that asks for in turn, as it is installed here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()

    def requirements(distribution: importlib.metadata.Distribution, asked: tuple[str, ...]) -> Iterator[Requirement]:
        for requirement in map(Requirement, distribution.requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *asked)):
                yield requirement

    def follow(distribution: importlib.metadata.Distribution, asked: tuple[str, ...]) -> None:
        for requirement in requirements(distribution, asked):
            wanted = requirement.name.lower(), tuple(sorted(requirement.extras))
            if wanted not in seen:
                seen.add(wanted)
                found[wanted[0]] = importlib.metadata.distribution(requirement.name)
                follow(found[wanted[0]], wanted[1])

    follow(of, extras)
    return list(found.values())


@pytest.fixture(scope="module")
def ran(installed: Installed) -> subprocess.CompletedProcess[str]:
    """The whole of NCF on generated data, as the README has it."""
    return installed.call("tandem", "run", "--conf-source", "conf-tandem.tar.gz", "--env", "test", "--tags", "ncf")


@pytest.mark.slow
def test_the_wheel_runs_from_generated_files_to_the_report(
    installed: Installed, ran: subprocess.CompletedProcess[str]
) -> None:
    assert ran.returncode == 0, ran.stderr
    metrics = json.loads((installed.folder / "data/08_reporting/ncf/metrics.json").read_text())
    assert {"constant", "popularity", "ease"} <= set(metrics["baselines"])
    assert 0.5 < metrics["model"]["auc"] < 1.0
    lists = pq.read_table(installed.folder / "data/07_model_output/ncf/recommendations.parquet")
    assert lists.num_rows == 60 * 10
    assert {path.name for path in installed.folder.iterdir()} == {"conf-tandem.tar.gz", "data"}


@pytest.mark.slow
def test_the_run_prints_what_it_did_and_nothing_of_the_tools_below(ran: subprocess.CompletedProcess[str]) -> None:
    """No banner, no warning of a framework: lines of ours carry the time, tables follow one that does."""
    assert ran.stdout == ""
    assert "Horovod is not installed: training in one process" in ran.stderr
    rows = r"[0-9:]{8} \w|rank  cpus|[0-9]+ +[0-9,-]+ |[a-z_@0-9]+ {2,}\S"
    assert [line for line in ran.stderr.splitlines() if not re.match(rows, line)] == []
    assert not re.search("WARN|Warning|logging configuration", ran.stderr)


@pytest.mark.slow
def test_the_readmes_script_works_on_what_the_run_left_without_kedro_or_spark(
    installed: Installed, ran: subprocess.CompletedProcess[str]
) -> None:
    assert ran.returncode == 0, ran.stderr
    done = installed.call("python", "-c", README_CODE + CHECKS)
    place = installed.environment / "lib" / "python3.11" / "site-packages" / "tandem" / "__init__.py"
    assert done.stdout.splitlines() == ["(2,) (2, 10) 61 True", "[]", str(place)], done.stderr


@pytest.mark.slow
def test_wrong_usage_of_the_installed_command_ends_in_one_line(installed: Installed) -> None:
    for arguments, line in (
        ((), "Error: Given configuration path .* here is no project: pass --conf-source conf-tandem.tar.gz.*"),
        (("--conf-source", "conf-tandem.tar.gz", "--env", "tset"), "Error: .*conf/tset; the environments .* test"),
    ):
        done = installed.call("tandem", "run", *arguments)
        assert done.returncode == 1
        assert re.fullmatch(line + "\n", done.stderr)
        assert done.stdout == ""


@pytest.mark.slow
def test_the_doctor_judges_what_is_installed(installed: Installed) -> None:
    done = installed.call("tandem", "doctor")
    assert done.returncode == 0, done.stdout
    lines = {line[6:].split("  ")[0]: line for line in done.stdout.splitlines()}
    assert lines["torch"].startswith("ok  ")
    told = 'not installed: needed for wnd, deepfm, two_tower; run pip install "tandem-recsys[tensorflow]"'
    assert lines["tensorflow"].endswith(told)
    assert lines["horovod"].endswith("not installed: training runs on one rank only")
    assert "make" not in done.stdout


@pytest.mark.slow
def test_a_run_whose_packages_are_not_installed_is_told_so_at_once(installed: Installed) -> None:
    done = installed.call(
        "tandem", "run", "--conf-source", "conf-tandem.tar.gz", "--env", "test", "--tags", "two_tower"
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: this run needs what is not installed: faiss, tensorflow; run pip install "
        '"tandem-recsys[retrieval,tensorflow]"\n'
    )


def test_the_archive_of_the_configuration_holds_every_environment_and_no_secret(packaged: Path) -> None:
    with tarfile.open(packaged / "conf-tandem.tar.gz") as archive:
        names = set(archive.getnames())
    assert {"conf/base/parameters.yml", "conf/test/parameters.yml", "conf/reference/parameters.yml"} <= names
    assert not [name for name in names if "credentials" in name]
