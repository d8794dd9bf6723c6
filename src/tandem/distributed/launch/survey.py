"""The launcher's look at every host of a job, before any rank is started: what it has, and what does not fit."""

import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.job import Framework
from tandem.distributed.launch import preflight
from tandem.distributed.launch.hosts import Answer, Host, python_there, run_on_all
from tandem.distributed.launch.preflight import MARK, Question, Report, tables, versions
from tandem.distributed.launch.shared_memory import Room, check_room
from tandem.distributed.topology import Topology
from tandem.distributed.topology.transfer import from_json
from tandem.errors import UserError

CLOCK_SECONDS = 5.0  # a rank's failure is told from those that follow it by the time of each
MEMORY_OF_A_RANK = 1 << 29  # of which a framework alone takes most
_LONGEST_PATH = 255  # a longer text may have no name that a file system takes


@dataclass(frozen=True)
class Surveyed:
    """A host that fits: its topology, under the user's name for it, the bytes of memory that are left, and /dev/shm."""

    host: Host
    topology: Topology
    memory: int
    shared_memory: Room | None = None


def survey(
    hosts: Sequence[Host],
    agent: Sequence[str],
    spec: BaseModel | Mapping[str, Any],
    *,
    framework: Framework,
    work_dir: Path,
    seconds: float,
) -> list[Surveyed]:
    """Look at all hosts at once.

    Raises:
        UserError: hosts do not answer or do not fit: each is named, with what to do.
    """
    with _question(spec, framework, work_dir) as question:
        answers = run_on_all(hosts, preflight_command(question), agent, seconds)
    own = versions(framework)
    found = [_judged(host, answer, own) for host, answer in zip(hosts, answers, strict=True)]
    bad = [problem for problem in found if isinstance(problem, str)]
    if bad:
        raise UserError("; ".join(bad))
    return [one for one in found if isinstance(one, Surveyed)]


def preflight_command(question: Question) -> list[str]:
    """The argument list that has a host look at itself, with this process's Python and packages."""
    return python_there(preflight.__name__, json.dumps(asdict(question)))


def check_memory(surveyed: Sequence[Surveyed], plan: BindingPlan) -> None:
    """Raises UserError where a host has not even the memory of the ranks' framework, or that in which they meet."""
    for one in surveyed:
        ranks = len(plan.hosts.get(one.host.name, ()))
        check_room(f"host {one.host.name}: ", one.shared_memory, ranks, "openmpi")
        if one.memory < ranks * MEMORY_OF_A_RANK:
            raise UserError(
                f"host {one.host.name} has {one.memory / 2**30:.1f} GiB of memory left for {ranks} ranks, which need "
                f"{MEMORY_OF_A_RANK / 2**30:.1f} GiB each at least; give it fewer ranks, or end what else runs there"
            )


@contextmanager
def _question(spec: BaseModel | Mapping[str, Any], framework: Framework, work_dir: Path) -> Iterator[Question]:
    """The question for all hosts, and while it is open the file by which they know the work folder."""
    work_dir.mkdir(parents=True, exist_ok=True)
    proof = uuid.uuid4().hex
    file = work_dir / f".preflight-{proof}"
    paths = existing_paths(spec)
    sizes = {str(path): path.stat().st_size if path.is_file() else None for path in paths}
    try:
        file.write_text(proof)
        yield Question(framework, str(work_dir), str(file), proof, sizes, tables(paths))
    finally:
        file.unlink(missing_ok=True)


def existing_paths(spec: BaseModel | Mapping[str, Any]) -> list[Path]:
    """The files and folders that a job's specification names and that are there: what its ranks will read."""
    texts = _texts(spec.model_dump(mode="json") if isinstance(spec, BaseModel) else dict(spec))
    absolute = [Path(text) for text in texts if text.startswith("/") and len(text) < _LONGEST_PATH]
    return sorted({path for path in absolute if path.exists()})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _judged(host: Host, answer: Answer, own: Mapping[str, str]) -> Surveyed | str:
    """What the host has, or what is wrong with it in one clause."""
    lines = [line.removeprefix(MARK) for line in answer.out.splitlines() if line.startswith(MARK)]
    if answer.code != 0 or not lines:
        return (
            f"host {host.name} cannot be used: {answer.reason}; check that it is up, that distributed.launch_agent "
            f"reaches it without a password, and that {sys.executable} is there too"
        )
    try:
        return _fitting(host, json.loads(lines[-1]), answer, own)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return (
            f"host {host.name} answers in other words than this host's code expects ({said}); put the same code of "
            "this project on all hosts"
        )


def _fitting(host: Host, said: Mapping[str, Any], answer: Answer, own: Mapping[str, str]) -> Surveyed | str:
    """Versions come first: another version of this project may say all else in another way."""
    differing = _other_versions(said["versions"], own)
    if differing:
        return f"host {host.name} {differing}"
    report = Report(**said)
    topology = replace(from_json(report.topology), host=host.name)
    problems = [*report.problems, *_clock(report, answer)]
    if problems:
        return f"host {host.name} {problems[0]}"
    return Surveyed(host, topology, report.memory, Room(*report.shared_memory) if report.shared_memory else None)


def _other_versions(theirs: Mapping[str, str], own: Mapping[str, str]) -> str:
    differing = [
        f"{name} {theirs.get(name)} (here {version})" for name, version in own.items() if theirs.get(name) != version
    ]
    return f"has {', '.join(differing)}; install the same packages on all hosts" if differing else ""


def _clock(report: Report, answer: Answer) -> list[str]:
    """Its clock was read between ``begin`` and ``end`` of ours: what lies outside is an offset for certain."""
    if answer.begin - CLOCK_SECONDS <= report.time <= answer.end + CLOCK_SECONDS:
        return []
    offset = report.time - answer.end
    way = "ahead of" if offset > 0 else "behind"
    return [f"has a clock {abs(offset):.0f} s {way} this host's; have both set by one time server (chrony, ntpd)"]
