"""Where data are: a path of this machine, or an address such as ``s3://bucket/folder``."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import PlainSerializer, PlainValidator

from tandem.errors import UserError

S3 = frozenset({"s3", "s3a"})
HDFS = frozenset({"hdfs", "viewfs"})
_ALMOST_ADDRESS = re.compile(r"(s3a?|hdfs|viewfs|gs|abfss?|file|https?):(?!//)", re.IGNORECASE)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(/.*)?", re.DOTALL)


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder of a bucket or of an HDFS; it need not exist.

    host: the bucket, or the name node with its port; key: below it, without a slash at either end.
    """

    scheme: str
    host: str
    key: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.key}"

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.scheme, self.host, f"{self.key}/{name.strip('/')}".lstrip("/"))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def is_s3(self) -> bool:
        """Whether the storage is S3, or speaks as it does."""
        return self.scheme in S3

    def absolute(self) -> "RemotePath":
        """Itself: an address has no other form."""
        return self

    def resolve(self) -> "RemotePath":
        """Itself: an address has no links."""
        return self


def location(given: Any) -> Path | RemotePath:
    """A path, or where the text is an address (``s3://``, ``s3a://``, ``hdfs://``, ``viewfs://``) that.

    ``~`` and ``~/x`` are the home folder, as in a shell, and ``~name`` that of somebody else.

    Raises:
        UserError: no text, or an empty one; another scheme, no bucket or host, or credentials in it; no such home.
    """
    if isinstance(given, Path | RemotePath):
        return given
    if not isinstance(given, str) or not given.strip():
        raise UserError(f"expected a path or an address, found {_found(given)}")
    address = _ADDRESS.fullmatch(given)
    if address is None:
        return _local(given)
    scheme, host, path = address[1].lower(), address[2], address[3] or "/"
    if scheme == "file":
        return Path(unquote(path))
    if scheme not in S3 | HDFS:
        raise UserError(f"{given}: {scheme}:// is not known; use a path, s3://BUCKET/FOLDER or hdfs://HOST:PORT/FOLDER")
    if "@" in host:
        shown = f"{scheme}://...@{host.rpartition('@')[2]}{path}"
        raise UserError(f"{shown}: credentials have no place in an address; docs/storage.md says where they belong")
    if not host:
        raise UserError(f"{given} names no {'bucket' if scheme in S3 else 'host'}; write {scheme}://NAME/FOLDER")
    return RemotePath(scheme, host, re.sub("/+", "/", path).strip("/"))


def local_path(given: Any) -> Path:
    """The same for what is kept on this machine, such as models and reports.

    Raises:
        UserError: as :func:`location`, or an address.
    """
    place = location(given)
    if isinstance(place, RemotePath):
        raise UserError(f"{place} is an address; what belongs here is kept on this machine: give a path")
    return place


def _found(given: Any) -> str:
    """What stands where a path should, and how it would be one."""
    if given is None or given == "":
        return "nothing (an empty variable of the shell?); write the path, or leave the parameter out"
    if isinstance(given, bool | int | float):
        text = json.dumps(given)
        kind = "the word" if isinstance(given, bool) else "the number"
        return f"{kind} {text}; put ./ before a name that can be read as another thing, as in ./{text}"
    return f"{given!r}; write a text"


def _local(text: str) -> Path:
    scheme = _ALMOST_ADDRESS.match(text)
    if scheme is not None:
        raise UserError(f"{text} is no address: write {scheme[1]}://, or ./{text} for a folder of that name")
    path = os.path.expanduser(text)  # noqa: PTH111 -- Path.expanduser raises where there is no such home
    if path.startswith("~"):
        name = path.partition("/")[0]
        raise UserError(f"{text}: no home folder is known for {name}; write the whole path, or ./{name} for that name")
    return Path(path)


# Options of a Spark reader of one place: brackets and the like in an address are no pattern. (Escaped they would be
# none either, but Hadoop takes no escape with a colon behind it.)
LITERALLY = {"__globPaths__": "false"}

# As a field of a model it is a text in JSON.
Location = Annotated[
    Path | RemotePath, PlainValidator(location), PlainSerializer(str, return_type=str, when_used="json")
]
Places = Path | RemotePath | tuple[Path | RemotePath, ...]
"""A data set: one file or folder, or several one after the other."""


def spark_address(place: Path | RemotePath) -> str:
    """A place as Spark is told of it, to read with the options ``LITERALLY`` or to write. S3 is its connector's s3a.

    Never a bare path: that would be one of Hadoop's default file system, which need not be this machine's.
    """
    if isinstance(place, Path):
        return f"file://{place.absolute()}"
    scheme = "s3a" if place.is_s3 else place.scheme
    return f"{scheme}://{place.host}/{place.key}"


def spark_pattern(place: Path | RemotePath) -> str:
    """The same for a reader of several, whose paths are patterns: that of this place alone.

    With ``LITERALLY`` Spark reads each of several places with such characters as often as there are places.
    """
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", spark_address(place))
