"""Finding the published MovieLens files: a folder, a zip, or a download that is checked by its checksum."""

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Literal

from tandem.errors import UserError
from tandem.sources.staging import staged_file, staged_folder
from tandem.storage.filesystems import explaining_reads, is_file, is_folder, size_of
from tandem.storage.locations import Location, RemotePath

MovieLensKind = Literal["ml-100k", "ml-1m"]

# Ratings, users, items: what a folder must hold.
REQUIRED_FILES: dict[MovieLensKind, tuple[str, str, str]] = {
    "ml-100k": ("u.data", "u.user", "u.item"),
    "ml-1m": ("ratings.dat", "users.dat", "movies.dat"),
}
_OPTIONAL_FILES: dict[MovieLensKind, tuple[str, ...]] = {"ml-100k": ("u.genre", "u.info"), "ml-1m": ()}

# As published by GroupLens beside the archives (ml-100k.zip.md5, ml-1m.zip.md5); the same values are in widely used
# loaders of other libraries. MD5 guards against a broken or changed file here, not against an attacker.
_ZIP_MD5: dict[MovieLensKind, str] = {
    "ml-100k": "0e33842e24a9c977be4e0107933c0723",
    "ml-1m": "c4d9eecfca2ab87c1945afe126590906",
}
_ADDRESS = "https://files.grouplens.org/datasets/movielens/{kind}.zip"
_TIMEOUT_SECONDS = 60


@explaining_reads()
def locate_movielens(path: Location, kind: MovieLensKind, work: Path | None = None) -> Location:
    """The folder that holds the files of ``kind``: ``path``, its sub-folder of that name, or what its zip holds.

    Args:
        path: a folder with the files, a folder with a sub-folder ``kind`` or with ``kind.zip``, or the zip.
        kind: which publication.
        work: where a zip is extracted; by default beside the zip, or in a temporary folder where that is read-only.

    Raises:
        UserError: nothing of the kind is there, a file is missing, or the zip is broken, may not be read or is not on
            this machine.
    """
    required = REQUIRED_FILES[kind]
    if is_file(path):
        return _extract(path, kind, work)
    for folder in (path, path / kind):
        if any(is_file(folder / name) for name in required):
            _check_complete(folder, kind)
            return folder
    if is_file(path / f"{kind}.zip"):
        return _extract(path / f"{kind}.zip", kind, work)
    raise UserError(f"{_nothing_found(path, kind)}; get it from {_ADDRESS.format(kind=kind)}")


def download_movielens(kind: MovieLensKind, out: Path, *, url: str | None = None) -> Path:
    """Fetch the published zip to ``out/<kind>.zip`` and check it; an intact one that is there already is kept.

    Raises:
        UserError: no connection, a checksum other than the published one (nothing is kept), ``out`` is read-only.
    """
    target = out / f"{kind}.zip"
    if target.is_file() and _md5(target) == _ZIP_MD5[kind]:
        return target
    source = url or _ADDRESS.format(kind=kind)
    if not source.startswith(("https://", "http://", "file://")):
        raise UserError(f"cannot download {source}: the address must begin with https://, http:// or file://")
    with staged_file(target) as staging:
        try:
            with urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS) as answer, staging.open("wb") as file:  # noqa: S310
                shutil.copyfileobj(answer, file)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = getattr(error, "reason", error)
            raise UserError(f"cannot download {source}: {reason}; fetch it by hand and pass its path") from error
        _check_md5(staging, target, _ZIP_MD5[kind], source)
    return target


def _check_complete(folder: Location, kind: MovieLensKind) -> None:
    for name in REQUIRED_FILES[kind]:
        if not is_file(folder / name):
            others = ", ".join(other for other in REQUIRED_FILES[kind] if other != name)
            raise UserError(f"{folder / name} is missing; {kind} needs it beside {others}")
        if size_of(folder / name) == 0:
            raise UserError(f"{folder / name} is empty; copy it again from the published {kind}.zip")


def _nothing_found(path: Location, kind: MovieLensKind) -> str:
    if not is_file(path) and not is_folder(path):
        return f"no MovieLens data: {path} does not exist; expected a folder with {', '.join(REQUIRED_FILES[kind])}"
    other: MovieLensKind = "ml-1m" if kind == "ml-100k" else "ml-100k"
    if any(is_file(path / name) for name in REQUIRED_FILES[other]):
        return f"{path} holds {other}, not {kind}; run with movielens={other}, or point to {kind}"
    return f"no {kind} in {path}: looked for {', '.join(REQUIRED_FILES[kind])} there and in {path / kind}"


def _extract(archive: Location, kind: MovieLensKind, work: Path | None) -> Path:
    """Extract the files of ``kind`` once per content of the archive; names inside never choose where they land."""
    if isinstance(archive, RemotePath):
        raise UserError(f"{archive}: a zip is read on this machine only; put its files there instead, or fetch it")
    sidecar = archive.with_name(f"{archive.name}.md5")
    if sidecar.is_file():
        _check_md5(archive, archive, _published_md5(sidecar), str(sidecar))
    target = _extraction_folder(archive, work) / f".{archive.stem}.extracted-{_md5(archive)[:12]}"
    if target.is_dir():
        return target
    try:
        with zipfile.ZipFile(archive) as zipped, staged_folder(target) as staging:
            for member in _members(zipped, archive, kind):
                with zipped.open(member) as source, (staging / PurePosixPath(member).name).open("wb") as file:
                    shutil.copyfileobj(source, file)
            _check_complete(staging, kind)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive} is not an intact zip ({error}); download it again") from error
    return target


def _members(zipped: zipfile.ZipFile, archive: Path, kind: MovieLensKind) -> list[str]:
    """The wanted members: at the top of the archive or in one folder of it."""
    found: dict[str, str] = {}
    for member in zipped.namelist():
        inside = PurePosixPath(member)
        if len(inside.parts) <= 2 and inside.name in (*REQUIRED_FILES[kind], *_OPTIONAL_FILES[kind]):
            found.setdefault(inside.name, member)
    missing = [name for name in REQUIRED_FILES[kind] if name not in found]
    if missing:
        raise UserError(f"{archive} holds no {', '.join(missing)}: it is not {kind}.zip; pass the published archive")
    return list(found.values())


def _extraction_folder(archive: Path, work: Path | None) -> Path:
    if work is not None:
        return work
    if os.access(archive.parent, os.W_OK):
        return archive.parent
    return Path(tempfile.mkdtemp(prefix="tandem-movielens-"))


def _published_md5(sidecar: Path) -> str:
    """The checksum in a ``.md5`` file, in the form of md5sum (first word) or of BSD's md5 (after the equals sign)."""
    words = sidecar.read_text(encoding="utf-8", errors="replace").split()
    checksums = [word for word in words if len(word) == 32 and set(word.lower()) <= set("0123456789abcdef")]
    if not checksums:
        raise UserError(f"{sidecar} holds no MD5 checksum; download it again or remove it")
    return checksums[0].lower()


def _check_md5(file: Path, name: Path, expected: str, source: str) -> None:
    found = _md5(file)
    if found != expected:
        raise UserError(
            f"{name.name} has the wrong checksum: expected md5 {expected}, found {found} ({source}); get it again"
        )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
