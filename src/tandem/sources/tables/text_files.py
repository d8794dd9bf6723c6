"""Files of text as they lie there: compressed or not, in some encoding, CSV or JSON lines. No Spark here."""

import bz2
import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Literal, Self

import pyarrow as pa

from tandem.errors import UserError
from tandem.parameters import TableParameters
from tandem.sources.raw_texts import compression_of
from tandem.storage.filesystems import open_binary
from tandem.storage.locations import Location, location

Form = Literal["csv", "json"]

LOOKED_AT = 1 << 20
"""Bytes by which encoding and separator are told."""
_BLOCK = 1 << 20
_SEPARATORS = (",", ";", "\t", "|", "::", ":", " ")
_RECORDS = 50
# A mark, the encoding that it tells, and the one that reads what stands behind it.
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
BROKEN = (OSError, EOFError, zlib.error, pa.ArrowException)


@dataclass(frozen=True)
class TextFile:
    """How a file of text is read.

    Attributes:
        path: of the file.
        form: CSV or JSON lines.
        encoding: in Python's words.
        separator: between columns of CSV.
        quote: around fields of CSV; None: no character has a meaning.
        header: whether the first record of CSV has the names.
        names: of the columns; of JSON the keys of the first objects.
        empty: texts that stand for nothing.
        folders: the values of columns that only the names of folders have.
    """

    path: str
    form: Form
    encoding: str
    separator: str = ","
    quote: str | None = '"'
    header: bool = True
    names: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    folders: dict[str, str | None] = field(default_factory=dict)

    @property
    def place(self) -> Location:
        """Where it is."""
        return location(self.path)

    def to_json(self) -> dict[str, Any]:
        """JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        return cls(**{**values, "names": tuple(values["names"]), "empty": tuple(values["empty"])})


def look_into_text(path: Location, given: TableParameters) -> TextFile | None:
    """How a file of text is read, by its first megabyte and what the parameters say; None where it has no record.

    Raises:
        UserError: it is compressed in a way that is not read, broken, or neither CSV nor JSON lines.
    """
    try:
        with decompressed(path) as file:
            head = file.read(LOOKED_AT)
    except BROKEN as error:
        raise UserError(f"{path} is not intact ({_first_line(error)}); copy it again") from error
    encoding = given.encoding or _encoding(head)
    text = _text(head, with_mark(encoding, head))
    if not text.strip("\ufeff \t\r\n"):
        return None
    encoding = with_mark(encoding, head)
    begin = text.lstrip("\ufeff \t\r\n")[:1]
    if begin == "[":
        raise UserError(f"{path} is one JSON array; write JSON lines, an object a line")
    if begin == "{":
        return TextFile(str(path), "json", encoding, empty=given.empty)
    if "\0" in text:
        raise UserError(f"{path} is neither Parquet nor text: it holds bytes of value 0; write it as CSV or JSON lines")
    separator = given.separator or guess_separator(text, given.quote)
    found = TextFile(str(path), "csv", encoding, separator, given.quote, given.columns is None, empty=given.empty)
    return TextFile(**{**asdict(found), "names": given.columns or _header(path, text, found)})


@contextmanager
def decompressed(path: Location) -> Iterator[IO[bytes]]:
    """The bytes of a file, by its first ones decompressed where they are of gzip, bzip2 or Zstandard.

    Raises:
        UserError: it is compressed in another way.
    """
    with open_binary(path) as file:
        form = compression_of(path, file.read(16))
        file.seek(0)
        if form is None:
            yield file
        elif form == "gzip":
            yield gzip.GzipFile(fileobj=file)  # type: ignore[misc]
        elif form == "bzip2":
            yield bz2.BZ2File(file)
        else:
            yield pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")


@contextmanager
def opened_text(file: TextFile) -> Iterator[IO[str]]:
    """The text of a file, with the ends of its lines as they are; what is no text in its encoding is marked."""
    with decompressed(file.place) as raw:
        buffered = io.BufferedReader(_Raw(raw), _BLOCK)
        ends = "\n" if file.form == "json" else ""
        with io.TextIOWrapper(buffered, file.encoding, errors="surrogateescape", newline=ends) as text:
            yield text


class _Raw(io.RawIOBase):
    """What Arrow and the modules of Python decompress, as io takes it."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._source.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def with_mark(encoding: str, head: bytes) -> str:
    """The encoding that leaves a byte order mark out, where there is one."""
    plain = codecs.lookup(encoding).name
    return "utf-8-sig" if plain == "utf-8" and head.startswith(b"\xef\xbb\xbf") else plain


def _encoding(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if head[1:200:2].count(0) > len(head[:200]) // 3:
        return "utf-16-le"
    if head[:200:2].count(0) > len(head[:200]) // 3:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
        return "utf-8"
    except UnicodeDecodeError:
        return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", head) else "cp1252"


def _text(head: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)(errors="replace").decode(head)


def guess_separator(text: str, quote: str | None) -> str:
    """The separator by which the first records have the same number of columns, and most of them with something in."""
    found: dict[str, tuple[bool, int, int]] = {}
    for separator in _SEPARATORS:
        try:
            some = _some_records(text, separator, quote)
        except csv.Error:
            continue
        width = len(some[0]) if some else 0
        if width > 1:
            alike = sum(len(record) == width for record in some) > 0.9 * len(some)
            # Between the colons of a::b there is a column of nothing.
            filled = sum(any(record[index : index + 1] != [""] for record in some) for index in range(width))
            found[separator] = alike, filled, -width
    return max(found, key=lambda separator: found[separator], default=",")


def _some_records(text: str, separator: str, quote: str | None) -> list[list[str]]:
    """The first ones; raises csv.Error where not even one can be read. (The last one of a text may be cut off.)"""
    found: list[list[str]] = []
    try:
        for record in records(io.StringIO(text, newline=""), separator, quote):
            found += [record] if record else []
            if len(found) == _RECORDS:
                break
    except csv.Error:
        if not found:
            raise
    return found


def records(lines: IO[str], separator: str, quote: str | None) -> "csv.Reader | _Split":  # type: ignore[name-defined]
    """A reader of records with ``line_num``, the line at which the last one ended."""
    if len(separator) > 1:
        return _Split(lines, separator)
    csv.field_size_limit(1 << 24)
    if quote is None or quote == "":
        return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=separator, quotechar=quote, doublequote=True, strict=True)


class _Split:
    """Records of lines with a separator of several characters; no quote has a meaning."""

    def __init__(self, lines: IO[str], separator: str) -> None:
        self._lines = lines
        self._separator = separator
        self.line_num = 0

    def __iter__(self) -> Iterator[list[str]]:
        for line in self._lines:
            self.line_num += 1
            text = line.rstrip("\r\n")
            yield text.split(self._separator) if text else []


def _header(path: Location, text: str, file: TextFile) -> tuple[str, ...]:
    try:
        found = next(record for record in _some_records(text.lstrip("\ufeff"), file.separator, file.quote) if record)
    except csv.Error as error:
        raise UserError(f"{path}, row 1: {quotes_are_wrong(error)}") from error
    # One without a name is called by its place.
    return tuple(name.strip() or f"column {index}" for index, name in enumerate(found, start=1))


def quotes_are_wrong(error: Exception) -> str:
    """What to say of a record that Python's reader refuses."""
    text = str(error)
    if "unexpected end of data" in text or "field limit" in text:
        return "a quote that opens a field here is never closed; double it, or set quote: null"
    if "expected after" in text:
        return "text stands behind the closing quote of a field; double quotes inside of fields, or set quote: null"
    return f"it cannot be read ({text})"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
