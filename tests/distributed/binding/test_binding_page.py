"""The examples of ``docs/binding.md`` are what the command prints."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from machines import MACHINES, saved_xml

from tandem.cli import cli
from tandem.parameters import DistributedParameters

PAGE = Path(__file__).resolve().parents[3] / "docs" / "binding.md"
EXAMPLES = re.findall(r"```console\n\$ tandem (.*)\n((?:.*\n)*?)```", PAGE.read_text())


@pytest.mark.parametrize(("command", "expected"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_example(command: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in MACHINES:
        saved_xml(name, tmp_path)
    done = CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False)
    assert done.output == expected


def test_the_page_names_every_parameter_of_placement() -> None:
    placement = set(DistributedParameters.model_fields) - {
        "start_timeout_seconds",
        "stall_timeout_seconds",
        "timeout_seconds",
    }
    assert {name for name in placement if f"`{name}" not in PAGE.read_text()} == set()
