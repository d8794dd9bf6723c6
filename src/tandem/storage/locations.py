"""Where data are: a path of this machine, or an address such as ``s3://bucket/folder``."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import PlainSerializer, PlainValidator

from tandem.errors import UserError

S3 = frozenset({"s3", "s3a"})
HDFS = frozenset({"hdfs", "viewfs"})
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

    Raises:
        UserError: another scheme, no bucket or host, or credentials in it.
    """
    if isinstance(given, Path | RemotePath):
        return given
    address = _ADDRESS.fullmatch(str(given))
    if address is None:
        return Path(given)
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


def on_this_machine(place: Path | RemotePath, parameter: str) -> Path:
    """The place, for what is generated.

    Raises:
        UserError, which names the parameter: it is an address.
    """
    if isinstance(place, RemotePath):
        raise UserError(f"{parameter}: generated data are written on this machine, not to {place}; give a folder")
    return place


# Options of a Spark reader that takes paths as they are, of spark_target: even escaped, Hadoop takes no pattern with a
# colon behind it.
LITERALLY = {"__globPaths__": "false"}

# As a field of a model it is a text in JSON.
Location = Annotated[
    Path | RemotePath, PlainValidator(location), PlainSerializer(str, return_type=str, when_used="json")
]
Places = Path | RemotePath | tuple[Path | RemotePath, ...]
"""A data set: one file or folder, or several one after the other."""


def spark_address(place: Path | RemotePath) -> str:
    """What Spark reads literally: brackets and the like would be a pattern. S3 is its connector's s3a."""
    return _address(place, _escaped)


def spark_target(place: Path | RemotePath) -> str:
    """What Spark writes to: no pattern there, and so nothing to escape.

    Never a bare path: that would be one of Hadoop's default file system, which need not be this machine's.
    """
    return _address(place, str)


def _address(place: Path | RemotePath, written: Callable[[str], str]) -> str:
    if isinstance(place, Path):
        return f"file://{written(str(place.absolute()))}"
    scheme = "s3a" if place.is_s3 else place.scheme
    return f"{scheme}://{place.host}/{written(place.key)}"


def _escaped(path: str) -> str:
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)
