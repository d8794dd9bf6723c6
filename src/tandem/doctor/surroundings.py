"""What the doctor says of the surroundings of a run: the host, its user, and what other programs left behind.

Most of it a run copes with, and is then told how; what it cannot cope with fails.
"""

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLateError

from tandem.distributed.launch import shared_memory
from tandem.doctor.report import Check
from tandem.surroundings import cache_folder, foreign_variables, has_name, spark_home, user_name

SECONDS_FOR_A_NAME = 3
FREE_BYTES = 1 << 30
_GIB = 1 << 30


def check_shared_memory(environ: Mapping[str, str]) -> Check:
    """Two ranks fit into /dev/shm."""
    found, name = shared_memory.room(), str(shared_memory.PLACE)
    if found is None:
        return Check(name, False, "none", "mount a tmpfs there: the ranks of a host meet in it")
    text = f"{found.size / _GIB:.2f} GiB, {found.free / _GIB:.2f} GiB free"
    ranks = [count for count in range(2, 1025) if shared_memory.needed(count, "openmpi") <= found.free]
    most = f"{max(ranks, default=1)}{' or more' if 1024 in ranks else ''}"
    return Check(name, bool(ranks), f"{text}: enough for {most} ranks of this host", shared_memory.MEND)


def check_host_name(environ: Mapping[str, str]) -> Check:
    """The name of this host has an address; only named hosts need it."""
    name = socket.gethostname()
    pool = ThreadPoolExecutor(1)
    try:
        answer = pool.submit(socket.getaddrinfo, name, None).result(SECONDS_FOR_A_NAME)
        return Check("host name", True, f"{name}, {answer[0][4][0]}")
    except (OSError, UnicodeError, TooLateError):
        return Check("host name", True, f"{name}, without an address: needed for several hosts and a cluster's Spark")
    finally:
        pool.shutdown(wait=False)


def check_user(environ: Mapping[str, str]) -> Check:
    """The user's number has a name; without one, what asks for it is told one."""
    number = os.getuid()
    if has_name():
        return Check("user", True, f"number {number}")
    return Check("user", True, f"number {number} has no name: Spark is told {user_name(environ)}")


def check_home(environ: Mapping[str, str]) -> Check:
    """There is a cache, which makes Spark start faster, and a place for Horovod's wheel."""
    cache = cache_folder(environ)
    if cache is None:
        return Check("cache", True, "none, without a home: Spark starts seconds slower; XDG_CACHE_HOME names one")
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    usable = os.access(there, os.W_OK)
    words = "" if usable else ", which cannot be written: Spark starts seconds slower; XDG_CACHE_HOME names another"
    return Check("cache", True, f"{cache}{words}")


def check_locale(environ: Mapping[str, str]) -> Check:
    """File names are in UTF-8."""
    encoding = sys.getfilesystemencoding()
    return Check("locale", encoding == "utf-8", f"file names in {encoding}", "export LC_ALL=C.UTF-8")


def check_variables(environ: Mapping[str, str]) -> Check:
    """Nothing of other installations decides how Spark runs: what there is of it is left out of a local Spark."""
    foreign = foreign_variables(environ, local=True, made={"SPARK_HOME": str(spark_home())})
    return Check("Spark's variables", True, f"left out: {', '.join(foreign)}" if foreign else "none of others")


def check_temporary(environ: Mapping[str, str]) -> Check:
    """The folder for temporary files has room, and Java may load its libraries from it."""
    folder = tempfile.gettempdir()
    free, flags = shutil.disk_usage(folder).free, os.statvfs(folder).f_flag
    found = f"{folder}, {free / _GIB:.1f} GiB free"
    if flags & os.ST_NOEXEC:
        return Check("temporary files", False, f"{found}, mounted noexec", "have TMPDIR name a folder without noexec")
    return Check("temporary files", free >= FREE_BYTES, found, "make room there, or have TMPDIR name another folder")


LOOKS: Sequence[Callable[[Mapping[str, str]], Check]] = (
    check_shared_memory,
    check_host_name,
    check_user,
    check_home,
    check_locale,
    check_variables,
    check_temporary,
)
