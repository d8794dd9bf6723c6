"""The command of the benchmarks: what there is, and one line for what there is not."""

import subprocess
import sys

import pytest

from projects import ROOT

NAMES = ("ncf", "recsys2021", "scaling", "exchange")


def benchmarks(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_help_has_a_line_for_each_benchmark_with_its_minutes_and_starts_none() -> None:
    done = benchmarks("--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" min")]
    assert lines == list(NAMES)
    assert sorted(file.stem for file in (ROOT / "benchmarks").glob("*.py") if "\ndef measure(" in file.read_text()) == (
        sorted(NAMES)
    )


@pytest.mark.parametrize("arguments", [("nfc",), ("ncf", "nfc")])
def test_an_unknown_benchmark_is_one_line_with_the_known_ones(arguments: tuple[str, ...]) -> None:
    done = benchmarks(*arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"Error: there is no benchmark nfc; there are {', '.join(NAMES)}"]
