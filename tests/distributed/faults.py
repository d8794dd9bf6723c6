"""Every fault of docs/faults.md done to one training job, one after the other, each time resumed from its checkpoint.

``PYTHONPATH=tests/support python tests/distributed/faults.py`` (as root, with iproute2) writes the page; a test holds
that it is current.
"""

import importlib.metadata
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from launches import living
from two_hosts import NAMES, NETWORK, TwoHosts

import ncf_jobs
from tandem.distributed import installed
from tandem.distributed.launch import mpirun
from tandem.distributed.launch.launcher import launch
from tandem.parameters import DistributedParameters

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
EPOCHS = 30  # of 6 steps each
STEPS_BEFORE, STALL, CUT_STALL = 9, 5.0, 8.0
NCF: dict[str, Any] = {"epochs": EPOCHS, "early_stopping": {"metric": "ndcg@10", "patience": 1000}}
INTRODUCTION = """\
# When something breaks

<!-- Written by tests/distributed/faults.py: run it again as root. A test holds all columns but the seconds. -->

Each of these was done to one NCF training on two ranks, of one host or of two, in the middle of an epoch where it can
be. After each the job was resumed; after the last it ended with the weights, bit for bit, of a run that was never hurt.
Nothing but what is named was left in the folders of the checkpoint and of the outputs, nothing but specification, logs
and records in the work folder, nothing in `/tmp`, and no process on any host. *Seconds* are from the fault (at the
start: from the call) to the error, on a busy machine, with stall timeouts of 5 s (hang) and 8 s (link) instead of 300.

| fault | what the user sees | seconds | what is left | does resume work |
|---|---|---|---|---|
"""
AFTERWARDS = """
The traceback of a rank that raises is in the error; what every rank printed is in `logs/rank-N.log` of the job's work
folder, and what mpirun printed in `logs/mpirun.log`. A rank that hangs prints where it stands before it is ended. Where
no connection is left over which a host could be told, its ranks are ended by mpirun's own daemon there, which asks for
a sign of life from the other side in quarters of the stall timeout.
"""


# What a job leaves in its work folder however it ends: what it was to do, what its ranks reported and printed.
RECORDS = re.compile(r"spec\.json|job/job\.json|job/events/\d\.jsonl|job/failures/\d\.json|logs/(rank-\d|mpirun)\.log")


@dataclass(frozen=True)
class Row:
    """One fault and what came of it."""

    fault: str
    sees: str
    seconds: float
    left: str
    resume: str

    def line(self, seconds: str) -> str:
        return f"| {self.fault} | {self.sees} | {seconds} | {self.left} | {self.resume} |"


class Job:
    """A training job that gets on a little between its faults."""

    def __init__(self, folder: Path, hosts: TwoHosts) -> None:
        self.folder, self.hosts = folder, hosts
        self.job = ncf_jobs.write_job(folder / "job", **NCF)
        self.started = False
        self.epochs = 0
        self.struck = 0.0
        self.temporary: list[Path] = []

    @property
    def checkpoint(self) -> Path:
        return self.job.checkpoints / "latest.safetensors"

    def parameters(self, across: bool, stall: float) -> DistributedParameters:
        common: dict[str, Any] = {"start_timeout_seconds": 300, "stall_timeout_seconds": stall}
        if not across:
            return DistributedParameters(num_ranks=2, bind=False, **common)
        names = [f"{name}:1" for name in NAMES]
        return DistributedParameters(hosts=names, network=NETWORK, launch_agent=str(self.hosts.agent), **common)

    def run(
        self,
        what: str = "",
        *,
        who: int = 1,
        across: bool = False,
        on_epoch: Callable[[], None] | None = None,
        stall: float = 300.0,
    ) -> None:
        """Train on; ``what`` happens to rank ``who`` in an epoch, or ``on_epoch`` after the first new one."""
        what = "nothing yet" if on_epoch is not None else what
        parameters = self.job.parameters.model_copy(update={"resume": self.started})
        job = self.job.model_copy(update={"parameters": parameters})
        spec = {"job": job.model_dump(mode="json"), "what": what, "who": who, "steps": STEPS_BEFORE}
        self.struck = time.monotonic()
        done: list[int] = []

        def on_event(event: dict[str, Any]) -> None:
            if event["event"] == "epoch":
                self.started = True
                self.epochs = event["epoch"]
                self.struck = time.monotonic()
                if on_epoch is not None and not done:
                    done.append(1)
                    on_epoch()

        with self.noting_temporary_folders():
            launch(
                "fault_rank",
                spec,
                parameters=self.parameters(across, stall),
                framework="torch",
                work_dir=self.folder / "work",
                on_event=on_event,
            )

    @contextmanager
    def noting_temporary_folders(self) -> Iterator[None]:
        """Those of this job: other jobs on this machine have theirs in ``/tmp`` too."""
        with mock.patch.object(mpirun, "environment", wraps=mpirun.environment) as noted:
            try:
                yield
            finally:
                self.temporary += [call.args[1] for call in noted.call_args_list]

    def left(self) -> str:
        """The processes and files that a fault left, but for the job's records, in words."""
        self.hosts.wait_until_nobody_lives(STALL + 5.0)
        processes = living(self.folder / "work")
        files = sorted(file.name for file in self.job.checkpoints.glob("*"))
        made = sorted(file.name for file in self.job.staging.glob("*")) if self.job.staging.exists() else []
        made += [str(folder) for folder in self.temporary if folder.exists()]
        work = self.folder / "work"
        found = sorted(str(file.relative_to(work)) for file in work.rglob("*") if not file.is_dir())
        made += [f"WORK/{name}" for name in found if not RECORDS.fullmatch(name)]
        words = [f"{len(processes)} processes"] if processes else []
        words += ["the checkpoint" if name == self.checkpoint.name else name for name in [*files, *made]]
        return ", ".join(words) or "nothing"

    def strike(self, fault: str, hurt: Callable[[], None], resume: str = "yes") -> Row:
        try:
            hurt()
        except AssertionError:
            raise
        except (Exception, KeyboardInterrupt) as error:
            sees = self.words(error)
        else:
            raise AssertionError(f"{fault}: nothing was seen of it")
        return Row(fault, sees, time.monotonic() - self.struck, self.left(), resume)

    def words(self, error: BaseException) -> str:
        """The message on one line, without what differs from run to run and from place to place."""
        if isinstance(error, KeyboardInterrupt):
            return "Interrupted: earlier outputs are as they were."
        text = str(error).replace(str(self.folder / "work"), "WORK").replace(str(self.folder / "job"), "DATA")
        text = re.sub(r"\nTraceback.*\n(log: )", r" … the traceback … \1", text, flags=re.DOTALL)
        text = text.replace(str(Path(sys.executable)), "PYTHON").replace(os.uname().nodename, "HOST")
        text = re.sub(r"torch \S+ \(here [^)]+\)", "torch VERSION (here VERSION)", text)
        return "`" + re.sub(r"\s+", " ", text).replace("|", "\\|").replace("`", "'") + "`"


def all_rows(folder: Path, hosts: TwoHosts) -> Iterator[Row]:
    """Do everything to one job; AssertionError where a resumed job lost an epoch or ended with other weights."""
    job = Job(folder, hosts)
    yield job.strike("rank raises", lambda: job.run("raise"))
    yield from resumed(job, "rank killed", lambda: job.run("kill"))
    yield from resumed(job, "rank hangs", lambda: job.run("hang", stall=STALL))
    yield from resumed(job, "host unreachable at start", lambda: with_link_down(job))
    yield from resumed(job, "link cut", lambda: with_link_cut(job))
    yield from resumed(job, "disk full at checkpoint", lambda: with_full_disk(job))
    yield with_damaged_checkpoint(job)
    yield from resumed(job, "out of memory", lambda: job.run("out of memory"))
    yield from resumed(job, "Ctrl-C", lambda: job.run(on_epoch=lambda: os.kill(os.getpid(), signal.SIGINT)))
    yield from resumed(job, "mpirun missing", lambda: without_mpirun(job))
    yield from resumed(job, "version mismatch", lambda: with_another_version(job))
    job.run()
    whole = ncf_jobs.write_job(folder / "whole", **NCF)
    parameters = job.parameters(False, 300.0)
    launch("tandem.models.ncf.rank", whole, parameters=parameters, framework="torch", work_dir=folder / "work")
    for name in ("model.safetensors", "scorer.safetensors"):
        both = [(one.staging / "model" / name).read_bytes() for one in (job.job, whole)]
        assert both[0] == both[1], f"{name} differs from that of a run that was never hurt"


def resumed(job: Job, fault: str, hurt: Callable[[], None]) -> Iterator[Row]:
    before = job.epochs
    yield job.strike(fault, hurt)
    assert job.epochs >= before, f"epochs were lost before {fault}"


def with_link_down(job: Job) -> None:
    job.hosts.link(2, "down")
    try:
        job.run(across=True)
    finally:
        job.hosts.link(2, "up")


def with_link_cut(job: Job) -> None:
    try:
        job.run(across=True, on_epoch=lambda: job.hosts.link(1, "down"), stall=CUT_STALL)
    finally:
        job.hosts.wait_until_nobody_lives(CUT_STALL + 5.0)
        job.hosts.link(1, "up")


def with_full_disk(job: Job) -> None:
    """The checkpoints of rank 0's host are on a file system that has no room for a second one beside the first."""
    first, folder = job.hosts.inits()[0], str(job.job.checkpoints)
    kept = job.folder / "kept"
    shutil.copy(job.checkpoint, kept)
    room = job.checkpoint.stat().st_size * 3 // 2
    job.hosts.on(first, "mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", folder)
    try:
        job.hosts.on(first, "cp", str(kept), str(job.checkpoint))
        job.run(across=True)
    finally:
        left = job.hosts.on(first, "ls", "-A", folder).split()
        same = job.hosts.on(first, "cmp", str(kept), str(job.checkpoint)) == ""
        job.hosts.on(first, "umount", folder)
        assert (left, same) == ([job.checkpoint.name], True), "the old checkpoint is as it was, without a partial one"


def with_damaged_checkpoint(job: Job) -> Row:
    kept = job.checkpoint.read_bytes()
    job.checkpoint.write_bytes(kept[: len(kept) // 2])
    row = job.strike("corrupt checkpoint", job.run, "no: the training starts anew, as the message says")
    job.checkpoint.write_bytes(kept)
    return row


def without_mpirun(job: Job) -> None:
    with mock.patch.object(installed, "find_mpirun", return_value=None):
        job.run()


def with_another_version(job: Job) -> None:
    place = next(
        Path(str(file.locate())) for file in importlib.metadata.files("torch") or () if file.name == "METADATA"
    )
    other = job.folder / "METADATA"
    other.write_text(place.read_text().replace("\nVersion: 2.", "\nVersion: 1.", 1))
    second = job.hosts.inits()[1]
    job.hosts.on(second, "mount", "--bind", str(other), str(place))
    try:
        job.run(across=True)
    finally:
        job.hosts.on(second, "umount", str(place))


@contextmanager
def hosts_in(folder: Path) -> Iterator[TwoHosts]:
    hosts = TwoHosts(folder)
    try:
        hosts.start()
        with hosts.entered():
            yield hosts
    finally:
        hosts.stop()


def page(rows: list[Row]) -> str:
    return INTRODUCTION + "".join(f"{row.line(f'{row.seconds:.0f}')}\n" for row in rows) + AFTERWARDS


def without_seconds(text: str) -> str:
    return re.sub(r" \| \d+ \| ", " | | ", text)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name, hosts_in(Path(name)) as made:
        found = []
        for one in all_rows(Path(name), made):
            found.append(one)
            sys.stdout.write(f"{one.line(f'{one.seconds:.1f}')}\n")
            sys.stdout.flush()
    PAGE.write_text(page(found))
