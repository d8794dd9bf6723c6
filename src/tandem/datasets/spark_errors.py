"""What Spark and its Java say of a place that is full, unfit or out of reach, in one line for the user.

Java's own account is several screens, of which the user needs one word and one path. What is in no pattern here is a
fault of ours and keeps that account.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from pyspark import SparkContext

Explanation = Callable[[re.Match[str]], str | None]

# The system's words, as Java passes them on, and what to do.
_ADVICE = {
    "No space left on device": "make room there, or choose another place",
    "Disk quota exceeded": "make room there, or choose another place",
    "Read-only file system": "mount it writable, or choose another place",
    "Permission denied": "give the user of this run the right to it, or choose another place",
    "Operation not permitted": "give the user of this run the right to it, or choose another place",
    "Too many open files": "raise the limit of open files (ulimit -n)",
    "Input/output error": "the device fails: look at the kernel's log, or choose another place",
    "Stale file handle": "mount the storage again",
    "File name too long": "choose a shorter path",
    "File too large": "raise the limit of a file's size (ulimit -f), or choose another place",
}
_WORDS = "|".join(re.escape(words) for words in _ADVICE)

# Of the frames under an error the first of these tells whose file it was: a table's, or one that Spark works with.
_OWNER = re.compile(
    r"^\s+at (?:org\.apache\.hadoop\.|org\.apache\.parquet\."
    r"|(?P<own>org\.apache\.spark\.(?:storage|shuffle|broadcast|util|io|memory|network)\.))",
    re.MULTILINE,
)
_WRITING = re.compile(r"Task failed while writing rows to (?P<path>.+?)\. SQLSTATE")
_READING = re.compile(r"(?:Encountered error|Error) while reading file (?P<path>.+?)\. ")
_NAMED = re.compile(r"(?P<path>/[^\n]*?)(?:: | \()$")
_NO_CONNECTOR = re.compile(r"No FileSystem for scheme|ClassNotFoundException: Class org\.apache\.hadoop\.fs\.s3a")
_REFUSED = re.compile(
    r"(?:UnknownHostException|ConnectException|AccessDeniedException|UnknownStoreException|NoRouteToHostException"
    r"|NoAuthWithAWSException|AWSBadRequestException|SocketTimeoutException|AccessControlException): ([^\n]*)"
)
_STAGED = re.compile(r"/\.(?P<name>[^/]+)\.new-[0-9a-f]{8}(?=/|$)")


def spark_line(error: BaseException) -> str | None:
    """The line for the user, where ``error`` is Spark's and says something that the user can mend; else None."""
    if type(error).__module__.partition(".")[0] not in ("py4j", "pyspark"):
        return None
    # What PySpark made an exception of its own of has Java's account beside its text.
    text = f"{error}\n{getattr(error, '_stackTrace', None) or ''}"
    for pattern, explanation in EXPLANATIONS:
        found = pattern.search(text)
        line = explanation(found) if found is not None else None
        if line is not None:
            return " ".join(line.split())
    return None


def shown_path(address: str) -> str:
    """A path as Spark's messages have it, in the user's words: no scheme, no percent signs, no names of our staging."""
    # An address with three slashes is one of Spark's, which are percent-encoded; Hadoop's, with one, are not.
    path = unquote(address) if address.startswith("file:///") else address
    path = re.sub(r"^file:/+", "/", path)
    return _STAGED.sub(r"/\g<name>", re.sub(r"/_temporary/.*", "", path))


def _unfit_place(found: re.Match[str]) -> str:
    """The words may stand in the account of a write, of a read, or of the files that Spark works with meanwhile."""
    text, words = found.string, found["words"]
    advice = _ADVICE[words]
    owner = _OWNER.search(text, found.end())
    if owner is not None and owner["own"]:
        return _unfit_for_work(words, advice)
    reading = _READING.search(text)
    writing = _WRITING.search(text)
    named = _NAMED.search(text[max(0, found.start() - 4096) : found.start()])
    if reading is not None:
        return f"cannot read {shown_path(reading['path'])}: {words}; {advice}"
    if writing is not None:
        return f"cannot write {shown_path(writing['path'])}: {words}; {advice}"
    if named is not None:
        return f"Spark cannot use {shown_path(named['path'])}: {words}; {advice}"
    return f"Spark met a place that it cannot use: {words}; {advice} (its own files are in {working_folder()})"


def _unfit_for_work(words: str, advice: str) -> str:
    return (
        f"Spark cannot write what it works with to {working_folder()}: {words}; "
        f"{advice.replace('choose another place', 'set spark.local.dir in conf/*/spark.yml to another place')}"
    )


def working_folder() -> str:
    """Where Spark keeps what it works with (spark.local.dir), as its own Java has it; ``/tmp`` where it cannot say."""
    context = SparkContext._active_spark_context
    if context is not None:
        java: Any = context._jvm
        with suppress(Exception):  # Java may be gone, and then only this word is lost
            return ", ".join(java.org.apache.spark.util.Utils.getConfiguredLocalDirs(context._jsc.sc().conf()))
    return os.environ.get("SPARK_LOCAL_DIRS", "/tmp")  # noqa: S108 -- Java's own default


def _denied(found: re.Match[str]) -> str:
    path = shown_path(found["path"].strip())
    return f"Spark cannot use {path}: Permission denied; {_ADVICE['Permission denied']}"


def _no_folder(found: re.Match[str]) -> str:
    path = shown_path(found["path"])
    return f"cannot write {path}: no folder can be made there; make the place writable, or choose another"


def _file_in_the_way(found: re.Match[str]) -> str:
    path = shown_path(found["path"].strip())
    return f"cannot write below {path}: it is a file, and a folder belongs there; move it away, or choose another place"


def _not_executable(found: re.Match[str]) -> str:
    folder = os.path.dirname(found["path"])  # noqa: PTH120 -- a path of Java's
    return (
        f"Java cannot run the libraries that it unpacks to {folder}: the place is mounted noexec; give Java another, "
        "with -Djava.io.tmpdir=FOLDER in spark.driver.extraJavaOptions in conf/*/spark.yml"
    )


def remote_line(text: str, place: str) -> str | None:
    """The same of Spark's own connectors to S3 and HDFS, from the text of their error. place: what they were to use."""
    if _NO_CONNECTOR.search(text):
        return (
            f"Spark has no connector for {place}; name its package in conf/*/spark.yml (spark.jars.packages; "
            "docs/storage.md)"
        )
    refused = _REFUSED.search(text)
    if refused is not None:
        return f"Spark cannot use {place}: {refused[1].strip()}; docs/storage.md has its settings"
    return None


def _unreadable(found: re.Match[str]) -> str:
    """A file of the user's, or one of ours that something has damaged since."""
    path, below = shown_path(found["path"]), found.string[found.end() :]
    if found["kind"] == "FILE_NOT_EXIST":
        return f"{path} is gone: it was there when the run began; run again, and leave it where it is meanwhile"
    if re.search("Unexpected end of input stream|unexpected end of stream|Truncated source|Reached the end", below):
        return f"{path} cannot be read: it breaks off before its end; copy it again"
    if "ChecksumException" in below:
        folder, _, name = path.rpartition("/")
        return f"{path} does not fit its checksum in {folder}/.{name}.crc; copy both again, or remove that file"
    causes = re.findall(r"^Caused by: [\w.$]*?(\w+(?:Exception|Error))(?:: (.+))?$", below, re.MULTILINE)
    said = f" ({': '.join(part for part in causes[-1] if part)})" if causes else ""
    return f"{path} cannot be read: its content is not intact{said}; copy it again, or write it anew"


def _broken_page(found: re.Match[str]) -> str:
    """Of a damaged page of Parquet that is not compressed; Java does not say of which file."""
    return f"one of the files that are read is not intact ({found[0]}); copy them again, or write them anew"


def _remote(found: re.Match[str]) -> str | None:
    return remote_line(found.string, found["address"])


# Looked through in this order; the first that is found in the text of an error (with its causes and their frames) and
# has a line for it speaks. One that says more of the same error stands before one that says less.
EXPLANATIONS: list[tuple[re.Pattern[str], Explanation]] = [
    (re.compile(r"(?P<path>/[^\s:]+): failed to map segment from shared object"), _not_executable),
    (re.compile(r"AccessDeniedException: (?P<path>/[^\n]+)"), _denied),
    (re.compile(r"(?P<address>(?:s3a|hdfs|viewfs)://[^\s,;:]*)"), _remote),
    (re.compile(rf"(?P<words>{_WORDS})"), _unfit_place),
    (re.compile(r"Mkdirs failed to create (?P<path>.+?) \(exists="), _no_folder),
    (re.compile(r"\[FAILED_READ_FILE\.(?P<kind>\w+)\] .*? file (?P<path>.+?)\. "), _unreadable),
    (re.compile(r"IllegalArgumentException: newLimit > capacity"), _broken_page),
    (re.compile(r"ParentNotDirectoryException: [^\n]*?(?P<path>file:/[^\n]+)"), _file_in_the_way),
]
