"""Raw text files, compressed or not: what each is by its first bytes, held against what its name says. No Spark here.

Spark goes by the name alone. So a file that is something else is read as no row at all, or as rows of nothing; of LZ4
and Snappy, Hadoop knows a framing that no usual tool writes, and of its own it misses where one breaks off.
"""

import bz2
import gzip
import re
import zlib
from collections.abc import Iterator
from typing import IO

import pyarrow as pa

from tandem.errors import UserError
from tandem.sources.recsys2021_format import COMPRESSED
from tandem.storage.filesystems import open_binary, size_of
from tandem.storage.locations import Location

_MAGIC: dict[str, re.Pattern[bytes]] = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
    "Zstandard": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "LZ4": re.compile(rb"\x04\x22\x4d\x18"),
    "Snappy": re.compile(rb"\xff\x06\x00\x00sNaPpY"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "a zip": re.compile(rb"PK\x03\x04"),
    "7-Zip": re.compile(rb"7z\xbc\xaf\x27\x1c"),
}
_UNREAD = {
    ".lz4": "LZ4",
    ".snappy": "Snappy",
    ".xz": "xz",
    ".zip": "a zip",
    ".7z": "7-Zip",
    ".lzo": "LZO",
    ".br": "Brotli",
}
_MARKS = {b"\xef\xbb\xbf": "UTF-8", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_HEAD = 4096
_INSTEAD = "decompress it, or compress it by gzip (.gz), bzip2 (.bz2) or Zstandard (.zst)"


def check_raw_text(path: Location) -> None:
    """Read the file up to its first line with something in it.

    Raises:
        UserError: it has no such line; it is compressed in a way that is not read or that its name does not say, or
            broken; it is no text in UTF-8.
    """
    ending = re.sub(r"^.*(?=\.)|^[^.]*$", "", path.name).lower()
    with open_binary(path) as file:
        head = file.read(_HEAD)
    if ending in _UNREAD:
        raise UserError(f"{path} is {_UNREAD[ending]} by its name, which is not read; {_INSTEAD}")
    form = COMPRESSED.get(ending)
    if form is None:
        check_plain(path, head)
    elif not _is(form, head):
        raise UserError(f"{path} is not {form}, as its name says; rename or copy it")
    try:
        with open_binary(path) as file:
            first = next((chunk for chunk in _chunks(file, form) if chunk.strip(b"\r\n")), None)
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise UserError(f"{path} is not an intact {form} file ({error}); copy it again") from error
    if first is None:
        raise UserError(f"{path} has {size_of(path):,} bytes and no row; remove it, or copy it again")
    _check_text(path, first[:_HEAD])


def compression_of(path: Location, head: bytes) -> str | None:
    """How a file is compressed by its first bytes: gzip, bzip2, Zstandard or, None, not at all.

    Raises:
        UserError: in another way.
    """
    form = next((form for form, magic in _MAGIC.items() if magic.match(head)), None)
    if form is not None and form not in COMPRESSED.values():
        raise UserError(f"{path} is {form} by its first bytes, which is not read; {_INSTEAD}")
    return form


def check_plain(path: Location, head: bytes) -> None:
    """Raise UserError where the first bytes of a file are those of a compressed one, or of no text in UTF-8."""
    for form, magic in _MAGIC.items():
        if magic.match(head):
            known = [end for end, its in COMPRESSED.items() if its == form]
            mend = f"call it {path.name}{known[0]}" if known else _INSTEAD
            raise UserError(f"{path} is {form} by its first bytes, and its name does not say so; {mend}")
    _check_text(path, head)


def _check_text(path: Location, head: bytes) -> None:
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            raise UserError(f"{path} begins with the byte order mark of {encoding}; write it in UTF-8 without a mark")
    if b"\0" in head:
        raise UserError(f"{path} holds bytes of value 0 (UTF-16?); write it as text in UTF-8")


def _is(form: str, head: bytes) -> bool:
    if form == "deflate":  # zlib's two bytes: the method, and a sum that is a multiple of 31
        return len(head) > 1 and head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0
    return _MAGIC[form].match(head) is not None


def _chunks(file: IO[bytes], form: str | None) -> Iterator[bytes]:
    """The content, decompressed."""
    if form == "deflate":
        inside = zlib.decompressobj()
        while part := file.read(_HEAD):
            yield inside.decompress(part)
        return
    opened: IO[bytes]
    if form == "gzip":
        opened = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    elif form == "bzip2":
        opened = bz2.BZ2File(file)
    elif form == "Zstandard":
        opened = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
    else:
        opened = file
    while part := opened.read(_HEAD):
        yield part
