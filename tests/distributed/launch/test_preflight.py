"""What the preflight compares of hosts, and what it says where another host's code or answer is another."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from launches import launching_argv, launching_variables, until

from tandem.distributed.launch import preflight, survey
from tandem.distributed.launch.hosts import Answer, Host, run_on_all
from tandem.distributed.launch.preflight import MARK, Question, look
from tandem.distributed.launch.processes import has_ended, signal_ranks
from tandem.errors import UserError


def question(folder: Path, **others: Any) -> dict[str, Any]:
    (folder / "token").write_text("the token")
    return asdict(Question("torch", str(folder), str(folder / "token"), "the token", {})) | others


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, report: object) -> str | None:
    """The error where node1 answers with this report."""
    answer = Answer(0, f"{MARK}{json.dumps(report)}\n", "", time.time() - 1.0, time.time())
    monkeypatch.setattr(survey, "run_on_all", lambda *_: [answer])
    try:
        survey.survey([Host("node1")], [], {}, framework="torch", work_dir=folder, seconds=1.0)
    except UserError as error:
        return str(error)
    return None


def table(folder: Path, **parts: str) -> Path:
    """A folder of Parquet files, beside what Spark leaves there."""
    folder.mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    for name, content in parts.items():
        (folder / f"{name}.parquet").write_text(content)
    return folder


def test_tables_are_compared_by_the_names_and_sizes_of_their_files(tmp_path: Path) -> None:
    here, there = table(tmp_path / "here", a="1234", b="12"), table(tmp_path / "there", a="1234", b="12")
    (there / "_SUCCESS").unlink()
    asked = question(tmp_path, tables=preflight.tables([here, tmp_path]))
    assert list(asked["tables"]) == [str(here)], "a folder without Parquet files may change while a job runs"
    assert look(Question(**asked)).problems == []
    asked["tables"] = {str(there): asked["tables"][str(here)]}
    assert look(Question(**asked)).problems == [], "what Spark leaves beside its files is no part of the table"
    (there / "b.parquet").rename(there / "c.parquet")
    (problem,) = look(Question(**asked)).problems
    assert problem.startswith(f"has another {there} (2 Parquet files of 6 bytes, ")
    assert "here 2 Parquet files of 6 bytes, " in problem
    assert problem.endswith("let all hosts see the same storage")
    (there / "c.parquet").write_text("123456")
    (problem,) = look(Question(**asked)).problems
    assert "of 10 bytes" in problem


def test_a_host_with_another_table_of_as_many_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = table(tmp_path / "data", **{f"part-{number:05d}": "x" for number in range(3000)})

    def on_other_storage(hosts: list[Host], command: list[str], *others: Any) -> list[Answer]:
        assert max(map(len, command)) < 2000, "a word of a command line may have 128 KiB"
        (data / "part-00007.parquet").rename(data / "part-77777.parquet")
        return run_on_all(hosts, command, *others)

    monkeypatch.setattr(survey, "run_on_all", on_other_storage)
    with pytest.raises(UserError, match=rf"^host localhost has another {data} \(3000 Parquet files of 3000 bytes, "):
        survey.survey(
            [Host("localhost")], [], {"train": str(data)}, framework="torch", work_dir=tmp_path / "work", seconds=60.0
        )


def test_packages_by_which_ranks_compute_and_read_are_compared() -> None:
    both = {"numpy", "pyarrow", "safetensors"}
    assert both <= preflight.versions("torch").keys()
    assert both | {"keras"} <= preflight.versions("tensorflow").keys()
    assert "keras" not in preflight.versions("torch"), "no rank of PyTorch imports it"
    assert "none" not in preflight.versions("tensorflow").values()


@pytest.mark.parametrize("more", [{"not_known_here": 1}, {}])
def test_versions_come_before_what_another_version_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    own = preflight.versions("torch")
    report = {"versions": own | {"tandem": "0.0"}} | more
    found = judged(tmp_path, monkeypatch, report)
    assert found == f"host node1 has tandem 0.0 (here {own['tandem']}); install the same packages on all hosts"


@pytest.mark.parametrize(
    "change", [{"not_known_here": 1}, {"topology": "{}"}, {"topology": "no JSON"}, {"versions": 3}, {"time": "noon"}]
)
def test_an_answer_in_other_words_names_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    report = asdict(look(Question(**question(tmp_path))))
    found = judged(tmp_path, monkeypatch, report | change)
    assert str(found).startswith("host node1 answers in other words than this host's code expects (")
    assert str(found).endswith("); put the same code of this project on all hosts")
    assert "\n" not in str(found)


@pytest.mark.parametrize("report", [3, [], "x"])
def test_an_answer_that_is_no_report_names_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: object
) -> None:
    assert str(judged(tmp_path, monkeypatch, report)).startswith("host node1 answers in other words")


def test_a_question_of_other_code_is_answered_with_versions(tmp_path: Path) -> None:
    asked = json.dumps(question(tmp_path, not_known_here=1))
    argv = [sys.executable, "-m", "tandem.distributed.launch.preflight", asked]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    assert json.loads(line.removeprefix(MARK)) == {"versions": preflight.versions("torch")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_preflight_that_is_broken_off_leaves_no_agent_and_no_file(tmp_path: Path, number: signal.Signals) -> None:
    agent, work = tmp_path / "agent", tmp_path / "work"
    files = [tmp_path / "pid-node1", tmp_path / "pid-node2"]
    agent.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid-$1\nsleep 300\n")
    agent.chmod(0o755)
    work.mkdir()
    argv = launching_argv(work, {}, hosts=["node1", "node2"], launch_agent=str(agent), start_timeout_seconds=300)
    launching = subprocess.Popen(argv, env=launching_variables(), stderr=subprocess.DEVNULL)
    try:
        until(lambda: all(file.exists() and file.read_text() for file in files), 60)
        agents = [int(file.read_text()) for file in files]
        launching.send_signal(number)
        assert launching.wait(20) != 0
        until(lambda: all(map(has_ended, agents)), 5)  # on a busy machine a killed process takes a moment to be gone
    finally:
        launching.kill()
        launching.wait()
        left = [pid for pid in agents if not has_ended(pid)]
        signal_ranks(left, signal.SIGKILL)
    assert left == []
    assert [file.name for file in work.glob(".*")] == []
