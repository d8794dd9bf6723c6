"""The limits of this process's control group, v1 and v2: its CPU quota, its cpuset and its memory."""

import re
from pathlib import Path

from tandem.distributed.topology.files import read, read_int, read_list

_FOLDER = Path("sys/fs/cgroup")


def quota(root: Path) -> float | None:
    """The tightest CPU quota on the way from this process's control group to the root, in CPUs."""
    quotas = [_quota_v2(folder) for folder in _folders(root, "")]
    quotas += [_quota_v1(folder) for folder in _folders(root, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def cpuset(root: Path) -> tuple[int, ...] | None:
    """The cpuset of this process's control group: Open MPI counts cores inside it, whatever the affinity mask is."""
    for controller, name in (("", "cpuset.cpus.effective"), ("cpuset", "cpuset.effective_cpus")):
        for folder in _folders(root, controller):
            cpus = read_list(folder / name)
            if cpus:
                return cpus
    return None


def memory_left(root: Path) -> int | None:
    """Bytes until the tightest memory limit on the way to the root; file pages that can be dropped count as left."""
    left = []
    for controller, limit, used in (
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        for folder in _folders(root, controller):
            most, now = read_int(folder / limit), read_int(folder / used)
            if most is not None and now is not None:
                dropped = re.search(
                    r"^(?:total_)?inactive_file (\d+)", read(folder / "memory.stat") or "", re.MULTILINE
                )
                left.append(most - now + (int(dropped[1]) if dropped else 0))
    return min(left, default=None)


def _quota_v2(folder: Path) -> float | None:
    match = re.match(r"(\d+) (\d+)", read(folder / "cpu.max") or "")
    return int(match[1]) / int(match[2]) if match and int(match[2]) else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = read_int(folder / "cpu.cfs_quota_us"), read_int(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _folders(root: Path, controller: str) -> list[Path]:
    """This process's folder of a v1 controller (v2: ``""``) and its parents, the nearest first."""
    for line in (read(root / "proc/self/cgroup") or "0::/").splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller not in names.split(","):
            continue
        mounts = [root / _FOLDER / name for name in ((names, controller) if names else ("unified",))]
        mount = next((mount for mount in mounts if mount.is_dir()), root / _FOLDER)
        parts = Path(path.strip().lstrip("/")).parts
        return [mount.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return []
