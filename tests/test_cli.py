"""The command as a newcomer meets it: wrong usage and a wrong configuration are told in one line."""

import re
import shutil
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kedro.framework.project import configure_project

from projects import ROOT
from tandem import __version__
from tandem.cli import cli


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The configuration as ``kedro package`` writes it."""
    path = tmp_path / "conf-tandem.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        packed.add(ROOT / "conf", "conf")
    return path


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    configure_project("tandem")
    monkeypatch.setattr("tandem.cli.run_command.quiet_logging", lambda: None)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="tandem")


# Kedro's own use of a function that OmegaConf has deprecated; the command hides it.
pytestmark = pytest.mark.filterwarnings("ignore:register_new_resolver:UserWarning")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("nope", "No such command 'nope'. See tandem --help"),
        ("run --nope", "No such option '--nope'.* See tandem run --help"),
        ("run --params ncf.epochs", "--params: expected NAME=VALUE, found 'ncf.epochs'; .*"),
        ("run --conf-source nowhere", "Invalid value for '--conf-source': Path 'nowhere' does not exist. See .*"),
        ("recommend", "Missing option '--user'. See tandem recommend --help"),
        ("generate movielens", "Missing option '--out'. See tandem generate movielens --help"),
        ("generate movielens --out x --users 1", "Invalid value for '--users': 1 is not in the range .*"),
        ("download movielens ml-10m --out x", "Invalid value for .*: 'ml-10m' is not one of 'ml-100k', 'ml-1m'. .*"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: str, line: str) -> None:
    done = invoke(*arguments.split())
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.fullmatch(f"Error: {line}\n", done.stderr)


def test_lists_are_looked_for_in_a_project_alone() -> None:
    done = invoke("recommend", "--user", "7")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "Error: here is no project: run it in the folder that kedro run --tags ncf was run in\n"


def test_help_and_version_need_no_project() -> None:
    assert {"run", "recommend", "generate", "download", "doctor"} <= set(invoke("--help").stdout.split())
    assert invoke("-h").stdout == invoke("--help").stdout
    assert invoke("--version").stdout == f"tandem, version {__version__}\n"
    assert "Usage: tandem" in invoke().stderr


def refusal(*arguments: str) -> str:
    done = invoke("run", *arguments)
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    return line


def test_an_unknown_environment_is_told_with_those_of_the_configuration_in_use(archive: Path) -> None:
    shutil.unpack_archive(archive, archive.parent)
    for source in (archive, archive.parent / "conf"):
        line = refusal("--conf-source", str(source), "--env", "tset")
        assert "conf/tset;" in line
        assert re.search(rf"; the environments \(--env\) in {source} are base, .*reference, test$", line)


def test_a_run_outside_of_a_project_is_told_where_the_configuration_comes_from() -> None:
    assert "here is no project: pass --conf-source conf-tandem.tar.gz" in refusal()


def test_what_is_no_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "conf.tar.gz").write_text("not packed")
    line = refusal("--conf-source", str(tmp_path / "conf.tar.gz"))
    assert line.startswith(f"Error: --conf-source: {tmp_path}/conf.tar.gz is neither a folder nor an intact .tar.gz or")
    line = refusal("--conf-source", str(tmp_path))
    assert line == f"Error: --conf-source: {tmp_path} holds no configuration: there is no folder base in it"
