"""Why Spark's Java did not start, in one line: from what it said itself, not from what it might have been."""

import os
import re
from collections.abc import Callable, Mapping

INSTALL = "install Java 17 or newer (apt-get install openjdk-17-jre-headless), or have JAVA_HOME name one"
_OPTIONS = "spark.driver.extraJavaOptions in conf/*/spark.yml"
# Class files of Java 17 have the version 61.
_CLASS_FILES_BEFORE_JAVA_1 = 44
# Where Java tells of a fault: its own words, and those of an exception in the main thread.
_TELLING = re.compile(r"^(Error: |Error occurred |\S*Exception\b|Exception in thread|Caused by: |Unrecognized )")


def cause_of(said: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The line for a cause that is known, with what to do; None for another one.

    Args:
        said: all that Spark's start printed, or the text of what its Java raised.
        environ: what Spark was started with.
    """
    for pattern, tell in _CAUSES:
        match = re.search(pattern, said, re.MULTILINE)
        if match is not None:
            return tell(match, environ)
    return None


def unknown_cause(said: str) -> str:
    """The line for any other cause, with the one of Java's lines that tells most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.match(line)] or lines[-1:] or ["nothing"]
    words = telling[0].removeprefix("Error: ")
    return f"Spark's Java ended as it started; it said: {words} (all of it stands above; tandem doctor looks further)"


def _no_program(found: re.Match[str], environ: Mapping[str, str]) -> str:
    home = environ.get("JAVA_HOME")
    if home:
        return (
            f"JAVA_HOME is {home}, where Spark cannot start bin/java ({found[2]}); unset it, or let it name a Java of "
            "version 17 or newer"
        )
    return f"Spark cannot start {found[1]} ({found[2]}); {INSTALL}"


def _too_old(found: re.Match[str], environ: Mapping[str, str]) -> str:
    home = environ.get("JAVA_HOME")
    where = f"in JAVA_HOME, {home}," if home else "that is first on the PATH"
    newest = re.search(r"class file versions up to (\d+)", found[0])
    version = f"Java {int(newest[1]) - _CLASS_FILES_BEFORE_JAVA_1}" if newest else found[0].strip()
    return f"the Java {where} is too old for Spark (it is {version}); {INSTALL}"


def _no_memory(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return (
        f"Java cannot have the memory of spark.driver_memory (it said: {found[0].strip()}); lower the parameter, as "
        "--params spark.driver_memory=2g, or end what else runs here"
    )


def _bad_option(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return f"Java refuses an option (it said: {found[0].strip()}); correct {_OPTIONS}"


def _no_address(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return (
        f"Spark's Java asked for the address of {found[1]}, which has none; give it one in /etc/hosts, or name an "
        "address of this host in the parameter spark.driver_host"
    )


def _no_own_address(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return (
        "Spark cannot use the address of spark.driver_host (it said: Cannot assign requested address); name one that "
        "this host has, or leave the parameter out"
    )


def _no_name(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return (
        f"the user number {os.getuid()} of this process has no name, without which Hadoop's part of Spark does not "
        "work; run as a user that /etc/passwd knows"
    )


def _no_place(found: re.Match[str], environ: Mapping[str, str]) -> str:
    return (
        f"Spark's Java cannot use the folder for temporary files (it said: {found[0].strip()}); have TMPDIR name one "
        "with room, in which programs may run"
    )


_CAUSES: tuple[tuple[str, Callable[[re.Match[str], Mapping[str, str]], str]], ...] = (
    (
        r"line \d+: (\S*java): (No such file or directory|Permission denied|cannot execute.*|Is a directory)$",
        _no_program,
    ),
    (r"(JAVA_HOME) is (not set)$", lambda _, __: f"Spark finds no Java; {INSTALL}"),
    (r"^.*UnsupportedClassVersionError.*$", _too_old),
    (r"^Unrecognized option: --add-(opens|exports|modules).*$", _too_old),
    (
        r"^.*(Could not reserve enough space|Cannot allocate memory|insufficient memory|Failed to reserve).*$",
        _no_memory,
    ),
    (r"^.*(Invalid (maximum|initial) heap size|Initial heap size set to a larger value).*$", _no_memory),
    (r"^.*(Unrecognized (VM )?option|Improperly specified VM option|Unexpected \+/- setting).*$", _bad_option),
    (r"^.*(Conflicting collector|Multiple garbage collectors|Invalid -X|VM option .* is experimental).*$", _bad_option),
    (r"UnknownHostException: ([^\s:]+)", _no_address),
    (r"Cannot assign requested address", _no_own_address),
    (r"invalid null input: name", _no_name),
    (r"^.*(No space left on device|failed to map segment from shared object).*$", _no_place),
)
