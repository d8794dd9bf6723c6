"""Which hosts a job runs on, and a way to run a program there: the launch agent, ssh unless told otherwise."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import tandem
from tandem.errors import UserError
from tandem.parameters import DistributedParameters

_HOSTFILE_LINE = re.compile(r"(?P<name>\w[\w.-]*)(?:\s*:\s*(?P<short>[1-9]\d*)|\s+slots\s*=\s*(?P<long>[1-9]\d*))?")
_NO_ANSWER = 124


@dataclass(frozen=True)
class Host:
    """A host by the name that the user gave it, and the number of ranks for it where that was given."""

    name: str
    slots: int | None = None

    @property
    def here(self) -> bool:
        """Whether it is the launcher's own."""
        return self.name in {"localhost", "127.0.0.1", socket.gethostname(), os.uname().nodename}


@dataclass(frozen=True)
class Answer:
    """What a program on a host said; ``begin`` and ``end`` are this host's clock around it."""

    code: int
    out: str
    err: str
    begin: float
    end: float

    @property
    def reason(self) -> str:
        """The last line of what went wrong."""
        lines = self.err.strip().splitlines() or self.out.strip().splitlines()
        return lines[-1].strip() if lines else f"it ended with code {self.code}"


def hosts_of(parameters: DistributedParameters) -> list[Host]:
    """The hosts of ``hosts`` or of ``hostfile``, in order; empty: this one, without a name.

    Raises:
        UserError: the hostfile cannot be read, a host is named twice, or only some of them say how many ranks.
    """
    hosts = [_of_text(text) for text in parameters.hosts]
    if parameters.hostfile is not None:
        hosts = _read_hostfile(parameters.hostfile)
    names = [host.name for host in hosts]
    twice = sorted({name for name in names if names.count(name) > 1})
    where = "distributed.hosts" if parameters.hostfile is None else str(parameters.hostfile)
    if twice:
        raise UserError(f"{where}: {twice[0]} stands there twice; name each host once, with all of its ranks")
    if len({host.slots is None for host in hosts}) > 1:
        raise UserError(f"{where}: some hosts say how many ranks and some do not; write it for all hosts or for none")
    return hosts


def ranks_per_host(hosts: Sequence[Host], parameters: DistributedParameters) -> list[int] | None:
    """The number of ranks of each host, filled in their order; None where the plan decides.

    Raises:
        UserError: more ranks are asked for than the hosts take.
    """
    slots = [host.slots for host in hosts if host.slots is not None]
    if not slots:
        return None
    left = sum(slots) if parameters.num_ranks == "auto" else parameters.num_ranks
    if left > sum(slots):
        raise UserError(
            f"distributed.num_ranks: {left} ranks for hosts that take {sum(slots)} together; raise the hosts' numbers, "
            "add hosts, or set num_ranks: auto"
        )
    counts = []
    for most in slots:
        counts.append(min(most, left))
        left -= counts[-1]
    return counts


def find_agent(parameters: DistributedParameters) -> list[str]:
    """The launch agent as the beginning of an argument list, its program as an absolute path.

    Raises:
        UserError: there is no such program.
    """
    program, *options = parameters.launch_agent.split()
    found = shutil.which(program)
    if found is None:
        raise UserError(
            f"distributed.launch_agent: there is no program {program}; install it, or name another one that runs a "
            "command on a host"
        )
    return [str(Path(found).absolute()), *options]


def run_on(host: Host, command: Sequence[str], agent: Sequence[str], seconds: float) -> Answer:
    """Run a command on a host and wait for its end; one that takes too long is ended, here at least, with code 124.

    The agent gets the command as one text, as ssh does, with every word quoted for the shell at the other end.
    """
    (answer,) = run_on_all([host], command, agent, seconds)
    return answer


def run_on_all(hosts: Sequence[Host], command: Sequence[str], agent: Sequence[str], seconds: float) -> list[Answer]:
    """Run a command on all hosts at once, as ``run_on`` does on one.

    Broken off, by Ctrl-C for one, it ends the agents first: a pool of threads waits for those that it has begun.
    """
    running: list[tuple[subprocess.Popen[str], float]] = []
    pool = ThreadPoolExecutor(len(hosts))
    try:
        for host in hosts:
            begin = time.time()
            running.append((_start(host, command, agent), begin))
        answers = [pool.submit(_answer, child, begin, seconds) for child, begin in running]
        return [answer.result() for answer in answers]
    finally:
        for child, _ in running:
            _end(child)
        pool.shutdown()


def _start(host: Host, command: Sequence[str], agent: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        list(command) if host.here else [*agent, host.name, shlex.join(command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # without a terminal, on which an agent would ask for a password
    )


def _answer(child: "subprocess.Popen[str]", begin: float, seconds: float) -> Answer:
    try:
        out, err = child.communicate(timeout=seconds)
        return Answer(child.returncode, out, err, begin, time.time())
    except subprocess.TimeoutExpired:
        _end(child)
        child.communicate()
        return Answer(_NO_ANSWER, "", f"no answer within {seconds:g} s", begin, time.time())


def _end(child: "subprocess.Popen[str]") -> None:
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def python_there(module: str, *arguments: str) -> list[str]:
    """The argument list that runs one of our modules on a host: the same Python and packages at the same place."""
    package = str(Path(tandem.__file__).resolve().parents[1])
    return ["/usr/bin/env", f"PYTHONPATH={package}", sys.executable, "-m", module, *arguments]


def _of_text(text: str) -> Host:
    name, _, slots = text.partition(":")
    return Host(name, int(slots) if slots else None)


def _read_hostfile(path: Path) -> list[Host]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"distributed.hostfile: cannot read {path}: {error}") from error
    hosts = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        match = _HOSTFILE_LINE.fullmatch(text)
        if match is not None:
            slots = match["short"] or match["long"]
            hosts.append(Host(match["name"], int(slots) if slots else None))
        elif text:
            raise UserError(f"{path}, line {number}: expected `node1 slots=2` or `node1:2`, found {text!r}")
    if not hosts:
        raise UserError(f"{path}: no host in it; write one per line, as `node1 slots=2`")
    return hosts
