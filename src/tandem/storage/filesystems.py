"""Remote storage by Arrow: the file systems, what is in a folder, and in one line what is wrong.

Credentials come from where AWS and Hadoop look for them: the environment and their own files, never from the catalog.
"""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from tandem.errors import UserError
from tandem.storage.locations import RemotePath

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
# What takes longer than these is told, not waited for.
CONNECT_SECONDS = 5.0
ATTEMPTS = 3
# Without LD_LIBRARY_PATH: Arrow finds libhdfs and libjvm by these, and another host's own path may lead MPI elsewhere.
HADOOP = frozenset(
    {"HADOOP_HOME", "HADOOP_CONF_DIR", "JAVA_HOME", "ARROW_LIBHDFS_DIR", "CLASSPATH", "LIBHDFS_OPTS", "KRB5CCNAME"}
)

_NOTHING = "NotFound"


def storage_variables() -> list[str]:
    """Names of the variables of this environment by which Arrow finds and enters a storage: other hosts need them."""
    return sorted(name for name in os.environ if name.startswith("AWS_") or name in HADOOP)


def filesystem(place: RemotePath, attempts: int = ATTEMPTS) -> Any:
    """Arrow's file system for the storage that the place is in; opened once a process. attempts: at a request of S3.

    Raises:
        UserError: it cannot be opened.
    """
    with explaining(place):
        return _opened(place.scheme, place.host, attempts)


@lru_cache
def _opened(scheme: str, host: str, attempts: int) -> Any:
    from pyarrow import fs  # here: what knows of no address needs no Arrow

    if RemotePath(scheme, host, "").is_s3:
        endpoint = _first_of(ENDPOINTS)
        region = _first_of(REGIONS) or (None if endpoint else fs.resolve_s3_region(host))
        return fs.S3FileSystem(
            region=region,
            endpoint_override=endpoint,
            connect_timeout=CONNECT_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
        )
    name, _, port = host.partition(":")
    return fs.HadoopFileSystem(f"{scheme}://{name}" if scheme != "hdfs" else name, int(port or 0))


def _first_of(variables: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in variables if os.environ.get(name)), None)


def arrow_path(place: RemotePath) -> str:
    """The place in the words of its Arrow file system."""
    return f"{place.host}/{place.key}" if place.is_s3 else f"/{place.key}"


def listing(folder: RemotePath, *, recursive: bool = False) -> dict[RemotePath, int | None]:
    """What is in a folder, by name: bytes of a file, None for a folder; empty where there is no such folder.

    Raises:
        UserError: no such bucket, refused credentials, a storage that cannot be reached.
    """
    from pyarrow import fs

    with explaining(folder):
        chosen = fs.FileSelector(arrow_path(folder), recursive=recursive, allow_not_found=True)
        start = len(arrow_path(folder).rstrip("/")) + 1
        found = {
            folder / info.path[start:]: info.size if info.type == fs.FileType.File else None
            for info in filesystem(folder).get_file_info(chosen)
            if info.path[start:].strip("/")
        }
    if not found:
        check_bucket(folder)
    return dict(sorted(found.items()))


def check_bucket(place: RemotePath) -> None:
    """Raise UserError where the place is on S3 in a bucket that does not exist: it lists like an empty folder."""
    if place.is_s3:
        with explaining(place):
            found = filesystem(place).get_file_info(place.host).type.name
        if found == _NOTHING:
            raise UserError(_no_bucket(place))


def _type(place: RemotePath) -> str:
    """Arrow's name for what is there: ``File``, ``Directory`` or ``NotFound``."""
    with explaining(place):
        found = str(filesystem(place).get_file_info(arrow_path(place)).type.name)
    if found == _NOTHING:
        check_bucket(place)
    return found


def is_file(place: Path | RemotePath) -> bool:
    """Whether there is a file of this name."""
    return place.is_file() if isinstance(place, Path) else _type(place) == "File"


def is_folder(place: Path | RemotePath) -> bool:
    """Whether there is a folder of this name; on S3 that is one with something in it."""
    return place.is_dir() if isinstance(place, Path) else _type(place) == "Directory"


def exists(place: Path | RemotePath) -> bool:
    """Whether there is a file or a folder of this name."""
    return place.exists() if isinstance(place, Path) else _type(place) != _NOTHING


def size_of(file: Path | RemotePath) -> int:
    """Bytes of a file that is there."""
    if isinstance(file, Path):
        return file.stat().st_size
    with explaining(file):
        return int(filesystem(file).get_file_info(arrow_path(file)).size or 0)


def sizes_in(folder: Path | RemotePath) -> dict[Path, int | None] | dict[RemotePath, int | None]:
    """What is in a folder that is there, by name: bytes of a file, None for a folder."""
    if isinstance(folder, Path):
        return {path: None if path.is_dir() else path.stat().st_size for path in sorted(folder.iterdir())}
    return listing(folder)


def open_binary(file: Path | RemotePath) -> IO[bytes]:
    """The bytes of a file, to read and to seek in.

    Raises:
        UserError: it cannot be read.
    """
    if isinstance(file, Path):
        return file.open("rb")
    with explaining(file):
        source: IO[bytes] = filesystem(file).open_input_file(arrow_path(file))
        return source


def read_text(file: Path | RemotePath, encoding: str) -> str:
    """A whole file as text, with ``\\n`` at the ends of lines."""
    with explaining(file), open_binary(file) as source:
        return io.TextIOWrapper(io.BytesIO(source.read()), encoding).read()


def write_bytes(file: RemotePath, content: bytes) -> None:
    """Write a small file as a whole.

    Raises:
        UserError: it cannot be written.
    """
    with explaining(file):
        storage = filesystem(file)
        if not file.is_s3:
            storage.create_dir(arrow_path(file).rpartition("/")[0], recursive=True)
        with storage.open_output_stream(arrow_path(file)) as target:
            target.write(content)


@contextmanager
def explaining(place: Path | RemotePath) -> Iterator[None]:
    """What remote storage refuses becomes a UserError of one line; a path of this machine keeps its own errors."""
    try:
        yield
    except OSError as error:
        if isinstance(place, Path):
            raise
        raise UserError(_explained(place, " ".join(str(error).split()))) from error


@contextmanager
def explaining_reads() -> Iterator[None]:
    """A file or folder of this machine that its user may not read becomes a UserError of one line.

    Around what reads alone: of an error by itself nobody can tell whether it came of reading or of writing.
    """
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"cannot read {error.filename}: {error.strerror}; give its user the right to, or name another place"
        ) from error


def _explained(place: RemotePath, text: str) -> str:
    for pattern, explanation in _EXPLANATIONS.items():
        if re.search(pattern, text):
            return explanation(place, text)
    return f"{place} cannot be used: {text}"


def _refused(place: RemotePath, text: str) -> str:
    known = re.search(r"AWS Error ([A-Z_]+)", text)
    said = f" ({known[1]})" if known and known[1] != "UNKNOWN" else ""
    what = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE," if place.is_s3 else "the user"
    return f"the storage refuses access to {place}{said}; check {what} and what they may do there"


def _unreachable(place: RemotePath, text: str) -> str:
    curl = re.search(r"curlCode: \d+, ([^;]+)", text)
    said = f" ({curl[1].strip()})" if curl else ""
    if not place.is_s3:
        return f"{place.host} cannot be reached for {place}; check the address"
    return f"{_first_of(ENDPOINTS) or 'S3'} cannot be reached for {place}{said}; check the network and AWS_ENDPOINT_URL"


def _no_libhdfs(place: RemotePath, _text: str) -> str:
    return f"{place}: libhdfs or Java is not found; set HADOOP_HOME, JAVA_HOME and CLASSPATH as docs/storage.md says"


def _gone(place: RemotePath, _text: str) -> str:
    return f"{place} does not exist; make it first, or look whether another run has replaced it"


def _no_bucket(place: RemotePath, _text: str = "") -> str:
    return f"there is no bucket {place.host} ({place}); make it, or name another one"


_EXPLANATIONS: dict[str, Callable[[RemotePath, str], str]] = {
    r"NO_SUCH_BUCKET|Bucket '.*' not found": _no_bucket,
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|EXPIRED_TOKEN|INVALID_CLIENT_TOKEN_ID"
    r"|MISSING_AUTHENTICATION_TOKEN|UNRECOGNIZED_CLIENT|HTTP status 40[13]|[Pp]ermission denied": _refused,
    r"NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|HDFS connection failed|[Cc]onnection refused": _unreachable,
    r"libhdfs|libjvm": _no_libhdfs,
    r"Path does not exist|No such file": _gone,
}
