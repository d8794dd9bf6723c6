"""Two hosts on one machine: each with a network, a name, processes and mounts of its own, and a launch agent to them.

Everything hangs on three ``sleep`` processes that hold the namespaces: when they go, so do the network and all that
still runs on the hosts. The kernel ends them with the test's own process. The machine's own network is not touched.
"""

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NETWORK = "10.99.0.0/24"
NAMES = ("10.99.0.11", "10.99.0.12")
_CLONE_NEWNET = 0x40000000
_TOOLS = ("ip", "nsenter", "unshare", "setpriv", "taskset", "hostname")
# Like ssh: the command is one text for a shell, the environment is not that of the caller, and a host without a link
# is not there. Unlike ssh: what it starts is not in the process namespace of the one who asks.
_AGENT = """\
#!/bin/sh
host=$1; shift
case $host in
  {first}) pid={pids[0]}; cpus={cpus[0]}; link=v1; own={own}/1;;
  {second}) pid={pids[1]}; cpus={cpus[1]}; link=v2; own={own}/2;;
  *) echo "ssh: Could not resolve hostname $host: Name or service not known" >&2; exit 255;;
esac
if ip -br link show $link | grep -q DOWN; then
  echo "ssh: connect to host $host port 22: No route to host" >&2; exit 255
fi
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$HOME" TMPDIR=$own \\
  nsenter --target $pid --net --uts --pid --mount -- taskset -c $cpus sh -c "$*"
"""


def why_not() -> str | None:
    """What keeps this machine from having two hosts; None when nothing does."""
    if os.geteuid() != 0:
        return "two hosts in namespaces need root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"two hosts in namespaces need {', '.join(missing)} (iproute2, util-linux)"
    bridge = ["unshare", "--net", "ip", "link", "add", "b0", "type", "bridge"]
    tried = subprocess.run(bridge, check=False, capture_output=True)
    return None if tried.returncode == 0 else f"no bridge in a network namespace: {tried.stderr.decode().strip()}"


@dataclass
class TwoHosts:
    """Hosts h1 and h2 and the place from which jobs are launched, joined by a bridge; ``agent`` reaches them."""

    folder: Path
    held: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def agent(self) -> Path:
        return self.folder / "agent.sh"

    def inits(self) -> list[int]:
        """The first process of each host."""
        return [_first_child(process.pid) for process in self.held[1:]]

    def start(self) -> None:
        self._hold("--net")
        for _ in NAMES:
            self._hold("--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        head = Path(f"/proc/{self.held[0].pid}/ns/net")
        _until(lambda: head.readlink() != Path("/proc/self/ns/net").readlink())
        self._at_head("ip", "link", "set", "lo", "up")
        self._at_head("ip", "link", "add", "b0", "type", "bridge")
        self._at_head("ip", "addr", "add", "10.99.0.1/24", "dev", "b0")
        self._at_head("ip", "link", "set", "b0", "up")
        for number, (name, pid) in enumerate(zip(NAMES, self.inits(), strict=True), start=1):
            self.on(pid, "hostname", f"h{number}")
            self.on(pid, "ip", "link", "set", "lo", "up")
            self._at_head("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", "e0", "netns", str(pid))
            self._at_head("ip", "link", "set", f"v{number}", "master", "b0", "up")
            self.on(pid, "ip", "addr", "add", f"{name}/24", "dev", "e0")
            self.on(pid, "ip", "link", "set", "e0", "up")
        cpus = sorted(os.sched_getaffinity(0))
        for number in (1, 2):
            # Open MPI's daemons name their folder by their process: in one place two hosts' would meet.
            (self.folder / str(number)).mkdir(exist_ok=True)
        text = _AGENT.format(
            first=NAMES[0], second=NAMES[1], pids=self.inits(), cpus=(cpus[0], cpus[-1]), own=self.folder
        )
        self.agent.write_text(text)
        self.agent.chmod(0o755)

    def stop(self) -> None:
        for process in self.held:
            process.kill()
            process.wait()

    def link(self, number: int, state: str) -> None:
        """``up`` or ``down``: the cable of host 1 or 2."""
        self._at_head("ip", "link", "set", f"v{number}", state)

    def on(self, pid: int, *command: str) -> str:
        """Run on the host of this first process."""
        return _run("nsenter", "--target", str(pid), "--net", "--uts", "--pid", "--mount", "--", *command)

    def living(self) -> list[str]:
        """The command lines of all that runs on the hosts but for their first processes."""
        spaces = {Path(f"/proc/{init}/ns/pid").readlink() for init in self.inits()}
        return [line for process in Path("/proc").glob("[0-9]*") if (line := _line(process, spaces))]

    def wait_until_nobody_lives(self, seconds: float) -> None:
        _until(lambda: not self.living(), seconds)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and what it starts, use the hosts' network."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        theirs = os.open(f"/proc/{self.held[0].pid}/ns/net", os.O_RDONLY)
        try:
            _enter(theirs)
            yield
        finally:
            _enter(own)
            os.close(own)
            os.close(theirs)

    def _hold(self, *kinds: str) -> None:
        argv = ["setpriv", "--pdeathsig", "KILL", "unshare", *kinds, "sleep", "infinity"]
        self.held.append(subprocess.Popen(argv, start_new_session=True))

    def _at_head(self, *command: str) -> None:
        _run("nsenter", "--target", str(self.held[0].pid), "--net", "--", *command)


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _line(process: Path, spaces: set[Path]) -> str | None:
    """The command line of a process in one of these process namespaces; a first one and a dead one have none."""
    try:
        line = (process / "cmdline").read_text().replace("\0", " ")
        there = (process / "ns/pid").readlink() in spaces
    except OSError:
        return None
    return line if there and line and line != "sleep infinity " else None


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return int(_until(lambda: children.read_text().split())[0])


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _until(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.01)
    return found
