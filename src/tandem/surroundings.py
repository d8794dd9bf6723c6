"""The environment of Spark's Java and of its Python processes: made, not inherited.

What other installations leave in a shell (another Spark's home and configuration, another Python, options for every
Java, a language without UTF-8) would decide whether a run works, some of it only at scoring, after the training. What
names a place or an account is the user's and stays; docs/surroundings.md has the list.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import sys
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path

# With a local master these are ours to decide.
_OF_SPARK = ("SPARK_", "PYSPARK_")
OF_JAVA = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS")
# A place, and what PySpark itself writes into this process's environment.
_STAYS = frozenset({"SPARK_LOCAL_DIRS", "PYSPARK_SUBMIT_ARGS", "SPARK_AUTH_SOCKET_TIMEOUT", "SPARK_BUFFER_SIZE"})
# With any master: they would have the driver be another Spark's, or a client of one.
_OTHER_DRIVERS = (
    *("SPARK_REMOTE", "SPARK_LOCAL_REMOTE", "SPARK_API_MODE", "SPARK_CONNECT_MODE", "SPARK_CONNECT_MODE_ENABLED"),
    *("SPARK_TESTING", "SPARK_ENV_LOADED", "SPARK_PREPEND_CLASSES", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"),
    "PYSPARK_DRIVER_PYTHON",
)
# No address is asked for: the name of a host need not have one.
_THIS_HOST = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
# What Spark is started with, as a dry run shows it.
MADE = ("PYTHONSAFEPATH", "LC_ALL", *_THIS_HOST, "SPARK_USER", "SPARK_HOME", "PYSPARK_PYTHON")
UTF8_LOCALE = "C.UTF-8"

_taken: list[str] = []


def make_environment(environ: MutableMapping[str, str], *, local: bool, python: str) -> list[str]:
    """Change the environment that Spark's Java will be started with.

    Args:
        environ: this process's own.
        local: whether Spark is this process's Java alone; on a cluster, its own settings are kept.
        python: for Spark's Python processes.

    Returns:
        What was put away or replaced though somebody had set it: names of variables, folders of ``PYTHONPATH``.
    """
    made = {"SPARK_HOME": str(spark_home()), "PYSPARK_PYTHON": python, **process_variables(environ)}
    made |= _THIS_HOST if local else {}
    if not has_name():
        made["SPARK_USER"] = user_name(environ)
    foreign = foreign_variables(environ, local=local, made=made)
    for name in foreign:
        del environ[name]
    if not local:  # of an earlier, local Spark of this process
        for name in [name for name, value in _THIS_HOST.items() if environ.get(name) == value]:
            del environ[name]
    environ.update(made)
    folders = [f"{folder} in PYTHONPATH" for folder in _taken]
    _taken.clear()
    return foreign + folders


def foreign_variables(environ: Mapping[str, str], *, local: bool, made: Mapping[str, str]) -> list[str]:
    """The variables by which another installation would decide how Spark runs, but for those that are as made."""
    return [name for name in sorted(environ) if _decides(name, local=local) and made.get(name) != environ[name]]


def process_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What Python processes and Java need wherever they run: modules from no working folder, file names in UTF-8.

    Where this Python itself has file names in another encoding, all keep to that.
    """
    found = {"PYTHONSAFEPATH": "1"}
    if "PYTHONPATH" in environ:  # an empty part of it is the working folder
        found["PYTHONPATH"] = os.pathsep.join(filter(None, environ["PYTHONPATH"].split(os.pathsep)))
    return found | ({"LC_ALL": UTF8_LOCALE} if sys.getfilesystemencoding() == "utf-8" else {})


def _decides(name: str, *, local: bool) -> bool:
    if name in _STAYS:
        return False
    if name in {"SPARK_HOME", "PYSPARK_PYTHON", *_OTHER_DRIVERS}:
        return True
    return local and (name.startswith(_OF_SPARK) or name in OF_JAVA)


def spark_home() -> Path:
    """The Spark that PySpark brings."""
    spec = importlib.util.find_spec("pyspark")
    return Path(str(spec.origin)).parent if spec is not None else Path("pyspark")


def own_pyspark_first(path: list[str], environ: MutableMapping[str, str]) -> None:
    """Take from ``path`` (``sys.path``) and ``PYTHONPATH`` what another Spark's set-up put there.

    Only where this environment has a PySpark of its own. To be called before anything imports PySpark.
    """
    try:
        own = Path(str(importlib.metadata.distribution("pyspark").locate_file(""))).resolve()
    except importlib.metadata.PackageNotFoundError:
        return
    given = environ.get("PYTHONPATH", "").split(os.pathsep)
    others = [folder for folder in given if _brings_pyspark(folder) and Path(folder).resolve() != own]
    if others:
        environ["PYTHONPATH"] = os.pathsep.join(folder for folder in given if folder not in others)
        path[:] = [folder for folder in path if folder not in others]
        _taken.extend(others)


def _brings_pyspark(folder: str) -> bool:
    name = Path(folder).name
    archive = name.endswith(".zip") and name.startswith(("pyspark", "py4j"))
    return archive or (bool(folder) and (Path(folder) / "pyspark" / "__init__.py").is_file())


def has_name() -> bool:
    """Whether this process's user number has a name; in a container it often has none."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True


def user_name(environ: Mapping[str, str]) -> str:
    """What this user is called where its number has no name."""
    asked = (environ.get(name) for name in ("HADOOP_USER_NAME", "LOGNAME", "USER"))
    return next(filter(None, asked), f"user{os.getuid()}")


def java_places(environ: Mapping[str, str]) -> list[str]:
    """Options that tell Java where its user is at home, and where temporary files go: as Python has it, by ``TMPDIR``.

    Java asks the list of users, and has "?" for a number that is not in it.
    """
    temporary = tempfile.gettempdir()
    options = [f"-Djava.io.tmpdir={temporary}"] if temporary != "/tmp" else []  # noqa: S108 -- Java's default
    if not has_name():
        home = environ.get("HOME", "")
        options.append(f"-Duser.home={home if home.startswith('/') and Path(home).is_dir() else temporary}")
        options.append(f"-Duser.name={user_name(environ)}")
    return [quoted(option) for option in options]


def quoted(option: str) -> str:
    """An option of Java's in the words of ``spark.driver.extraJavaOptions``, which are parted at blanks."""
    return option if not set(option) & set(" \t\"'\\") else '"' + option.replace("\\", "\\\\").replace('"', '\\"') + '"'


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """``XDG_CACHE_HOME``, else ``~/.cache``; None for a user without a home."""
    given = environ.get("XDG_CACHE_HOME", "")
    if given.startswith("/"):
        return Path(given)
    with suppress(RuntimeError):
        return Path.home() / ".cache"
    return None


def project_folder() -> Path | None:
    """The project's own folder, where this code is run from it, as ``make setup`` leaves it; None for a wheel."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "setup" / "install.py").is_file() else None


def how_to_install(extras: Sequence[str]) -> str:
    """The command that brings these extras."""
    folder = project_folder()
    if folder is not None:
        return f"run `make setup` in {folder}"
    return f'run pip install "tandem-recsys[{",".join(extras)}]"'
