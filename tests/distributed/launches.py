"""What tests of launches share: processes that belong to one, what its ranks said, and a launcher to be killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tandem.distributed.launch.launcher import LaunchResult, launch
from tandem.parameters import DistributedParameters


def living(work_dir: Path) -> list[int]:
    """Processes that belong to the launch in this folder, by their environment, whatever their parents are."""
    mark = f"TANDEM_WORK_DIR={work_dir}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return result


def hellos(work_dir: Path) -> list[dict[str, Any]]:
    files = sorted((work_dir / "job/events").glob("*.jsonl"))
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [event for event in events if event["event"] == "hello"]


def pids(work_dir: Path) -> list[int]:
    files = sorted((work_dir / "job/events").glob("*.jsonl"))
    events = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [event["pid"] for event in events if event["event"] == "started"]


def scenarios(work_dir: Path, **always: Any) -> Callable[..., LaunchResult]:
    """Launches ``scenario_rank`` with a scenario and parameters beside those that always hold."""

    def start(spec: dict[str, Any], on_event: Any = None, sharing: Any = None, **parameters: Any) -> LaunchResult:
        settings = DistributedParameters(**always, **parameters)
        return launch(
            "scenario_rank",
            spec,
            parameters=settings,
            framework="torch",
            work_dir=work_dir,
            on_event=on_event,
            sharing=sharing,
        )

    return start


def launching_argv(work_dir: Path, spec: dict[str, Any], **parameters: Any) -> list[str]:
    """A process that launches ``scenario_rank``, to be started with ``launching_variables``."""
    script = work_dir / "launching.py"
    script.write_text(
        "import json, signal, sys\n"
        "from pathlib import Path\n"
        "from tandem.distributed.launch.launcher import launch\n"
        "from tandem.parameters import DistributedParameters\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "launch('scenario_rank', json.loads(sys.argv[2]), framework='torch', work_dir=Path(sys.argv[3]),\n"
        "       parameters=DistributedParameters.model_validate_json(sys.argv[1]))\n"
    )
    return [sys.executable, str(script), json.dumps(parameters), json.dumps(spec), str(work_dir)]


def launching_variables() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def launching_process(work_dir: Path, spec: dict[str, Any], **parameters: Any) -> "subprocess.Popen[bytes]":
    """A process that launches ``scenario_rank``, once all of its ranks have said hello."""
    argv = launching_argv(work_dir, spec, **parameters)
    process = subprocess.Popen(argv, env=launching_variables(), stderr=subprocess.DEVNULL)
    until(lambda: len(hellos(work_dir)) == parameters["num_ranks"], seconds=60)
    return process
