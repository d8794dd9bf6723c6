"""The command that writes a generated RecSys Challenge 2021."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pyspark.sql import SparkSession

from tandem.cli import cli


@pytest.fixture
def generate(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """The command, in an empty folder and in the session of the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "")
    monkeypatch.setattr("tandem.cli.data.quiet_logging", lambda: None)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["generate", "recsys2021", *arguments], prog_name="tandem")

    return run


def test_rows_are_written_and_told_of(generate, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = generate("--rows", "200", "--out", "new/rows", "--kind", "noise", "--seed", "3", "--raw")
    assert done.exit_code == 0, done.output
    made = json.loads((tmp_path / "new/rows/planted.json").read_text())
    assert (made["rows"], made["kind"], made["seed"]) == (200, "noise", 3)
    train = (tmp_path / "new/rows/train/part-00000").read_text().splitlines()
    assert len(train) == made["train_rows"]
    assert done.stdout.splitlines()[-1].startswith(
        f"{made['train_rows']} training and {made['test_rows']} test rows (noise) in new/rows: "
    )
    assert done.stdout.splitlines()[-1].endswith("best reachable AUC 0.5000")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--out", "rows", "--rows", "99"), "Invalid value for '--rows': 99 is not in the range x>=100."),
        (("--out", "rows", "--kind", "plant"), "Invalid value for '--kind': 'plant' is not one of 'planted', 'noise'"),
        (("--out", "mine"), "mine holds files that were not generated; choose an empty or a new folder"),
        ((), "Missing option '--out'."),
    ],
)
def test_wrong_usage_is_one_line(generate, tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part-00000").write_text("my rows")
    done = generate(*arguments)
    assert done.exit_code != 0
    assert done.stderr.splitlines()[-1].startswith(f"Error: {line}")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
