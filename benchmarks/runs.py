"""Runs of the ``tandem`` command in a temporary folder, and what they leave behind."""

import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TANDEM = Path(sys.executable).parent / "tandem"
NODE_LINE = re.compile(r"^\d\d:\d\d:\d\d (\w+): (\d+\.\d) s$")


def tandem_run(folder: Path, *arguments: str, parameters: list[str], env: str = "reference") -> tuple[float, str]:
    """Wall seconds and log of ``tandem run`` in a folder; ends the benchmark where it fails."""
    command = [str(TANDEM), "run", "--conf-source", str(PROJECT / "conf"), "--env", env, *arguments]
    command += ["--params", ",".join(parameters)] if parameters else []
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started, done.stderr


def stages(log: str) -> dict[str, float]:
    """Seconds of each node, from a run's log."""
    matches = (NODE_LINE.match(line) for line in log.splitlines())
    return {match[1]: float(match[2]) for match in matches if match}


def later_speed(folder: Path, model: str) -> float:
    """Samples per second from the second epoch on, median over epochs."""
    history = json.loads((folder / f"data/08_reporting/{model}/history.json").read_text())
    return statistics.median(record["samples_per_second"] for record in history[1:])
