"""The columns of the RecSys Challenge 2021 in their published order, and what a valid value of each looks like.

Source: Anelli et al. 2021, "RecSys Challenge 2021: Tweet engagement prediction", https://doi.org/10.1145/3460231.3478515.
"Engaged with" is the author of a tweet; the "enaging" user (published with this spelling) is who saw it. No Spark here:
files are looked at before Spark starts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

SEPARATOR = "\x01"

Kind = Literal["text", "count", "time", "engagement", "flag", "flag text"]
Future = Literal["error", "keep", "drop"]
"""What to do with a row that has a time which has not come yet."""


@dataclass(frozen=True)
class RawColumn:
    """One of the 24 columns.

    Kinds: ``text``; ``count`` (long, from 0); ``time`` (long, whole seconds since 1970); ``engagement`` (a time, or
    null where the engagement did not happen); ``flag`` (boolean); ``flag text`` (``true`` or ``false``, a string as
    published).
    """

    name: str
    kind: Kind = "text"

    @property
    def pattern(self) -> str | None:
        """What a text of this column must match, in the syntax that Java and Python share; None: anything."""
        return _PATTERNS.get(self.kind)

    @property
    def expected(self) -> str:
        """The same in words."""
        return _EXPECTED.get(self.kind, "text")


# Eleven digits of seconds last until the year 5138; twelve and more are milliseconds.
_PATTERNS: dict[Kind, str] = {
    "count": "[0-9]{1,18}",
    "time": "[0-9]{1,18}",
    "engagement": "[0-9]{0,18}",
    "flag": "(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])?",
    "flag text": "(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])?",
}
_EXPECTED: dict[Kind, str] = {
    "count": "a whole number from 0",
    "time": "whole seconds since 1970",
    "engagement": "whole seconds since 1970, or nothing",
    "flag": "true or false",
    "flag text": "true or false",
}

RAW_COLUMNS = (
    RawColumn("text_tokens"),
    RawColumn("hashtags"),
    RawColumn("tweet_id"),
    RawColumn("present_media"),
    RawColumn("present_links"),
    RawColumn("present_domains"),
    RawColumn("tweet_type"),
    RawColumn("language"),
    RawColumn("tweet_timestamp", "time"),
    RawColumn("engaged_with_user_id"),
    RawColumn("engaged_with_user_follower_count", "count"),
    RawColumn("engaged_with_user_following_count", "count"),
    RawColumn("engaged_with_user_is_verified", "flag"),
    RawColumn("engaged_with_user_account_creation", "time"),
    RawColumn("enaging_user_id"),
    RawColumn("enaging_user_follower_count", "count"),
    RawColumn("enaging_user_following_count", "count"),
    RawColumn("enaging_user_is_verified", "flag"),
    RawColumn("enaging_user_account_creation", "time"),
    RawColumn("engagee_follows_engager", "flag text"),
    RawColumn("reply_timestamp", "engagement"),
    RawColumn("retweet_timestamp", "engagement"),
    RawColumn("retweet_with_comment_timestamp", "engagement"),
    RawColumn("like_timestamp", "engagement"),
)
NAMES = tuple(column.name for column in RAW_COLUMNS)
ENGAGEMENTS = tuple(column.name for column in RAW_COLUMNS if column.kind == "engagement")
TIMES = tuple(column.name for column in RAW_COLUMNS if column.kind in ("time", "engagement"))

# As some published conversions to Parquet spell them.
MISSPELT = {"text_ tokens": "text_tokens", "retweet_timestampe": "retweet_timestamp"}

COMPRESSED = {
    ".bz2": "bzip2",
    ".deflate": "deflate",
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "Zstandard",
    ".zstd": "Zstandard",
}
"""Ends of names by which Spark knows raw files that it decompresses, each truncated one of which it notices."""
LARGEST = 10**18 - 1
"""The largest count or time: 18 digits, so that sums of some of them stay within 64 bits."""

ANY_TEXT = f"[^{SEPARATOR}]*"
LINE_PATTERN = "^" + SEPARATOR.join(column.pattern or ANY_TEXT for column in RAW_COLUMNS) + "\\r?$"


_MEND = "; mend or remove it"


def problem(line: str) -> str | None:
    """What is wrong with a raw line, in words; None where nothing is."""
    texts = line.rstrip("\r\n").split(SEPARATOR)
    if len(texts) != len(RAW_COLUMNS):
        return f"expected {len(RAW_COLUMNS)} columns separated by \\x01, found {len(texts)}"
    for column, text in zip(RAW_COLUMNS, texts, strict=True):
        if column.pattern is not None and not re.fullmatch(column.pattern, text):
            return f"column {column.name}: expected {column.expected}, found {text!r}"
    return None


def with_row(line: str) -> str:
    """The line of an error in a file as Spark tells it, with the file's own name; in a raw file with the row's number.

    Spark's paths are percent-encoded, and its readers do not number the lines of a text: the one file is read again,
    unless it is compressed. Any other line stays as it is.
    """
    address, _, what = line.partition(": ")
    if not what.endswith(_MEND):
        return line
    name, counted, row = address.partition(", row ")
    path = Path(unquote(name))
    if counted:
        return f"{unquote(name)}, row {row}: {what}"
    if path.suffix.lower() in COMPRESSED or not path.is_file():
        return f"{unquote(name)}: {what}"
    future = re.match(r"column (\w+): expected seconds since 1970 up to now .*, found (\d+)", what)
    for number, text in _numbered(path):
        found = problem(text)
        if future is not None and text.rstrip("\r\n").split(SEPARATOR)[NAMES.index(future[1])] == future[2]:
            return f"{path}, row {number}: {what}"
        if future is None and found is not None:
            return f"{path}, row {number}: {found}{_MEND}"
    return f"{unquote(name)}: {what}"


def _numbered(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for row, text in enumerate(lines, start=1):
            if text.strip():
                yield row, text
