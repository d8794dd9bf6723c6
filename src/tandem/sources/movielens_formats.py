"""The published file formats of MovieLens: what a valid line looks like, and how Spark reads its fields.

A field's validity is one regular expression, in the part of the syntax that Java and Python share: Spark judges all
lines by it, and Python explains the first bad one.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.movielens_names import ML_1M_OCCUPATIONS


@dataclass(frozen=True)
class Field:
    """A column of a file: its name, the pattern of a valid text (None: any), and what to say when it is not."""

    name: str
    pattern: str | None = None
    expected: str = "text"


@dataclass(frozen=True)
class TableFormat:
    """A file: its separator, its fields by position, and the output columns computed from the fields' texts.

    ``columns`` takes the fields of a line (an array of texts). Where ``unique``, the first field identifies a row.
    """

    separator: str
    fields: tuple[Field, ...]
    columns: Callable[[Column], list[Column]]
    unique: bool = False

    @property
    def line_pattern(self) -> str:
        """The pattern of a valid line.

        To Java, ``.`` by itself is no U+0085 and ``$`` stands before one at the end, which in Python is neither so.
        """
        separator = re.escape(self.separator)
        anything = f"(?:(?!{separator}).)*"
        return "(?s)^" + separator.join(f"(?:{field.pattern or anything})" for field in self.fields) + "(?!.)"

    def problem(self, line: str) -> str | None:
        """What is wrong with a line, in words; None where nothing is."""
        texts = line.split(self.separator)
        if len(texts) != len(self.fields):
            return f"expected {len(self.fields)} fields separated by {self.separator!r}, found {len(texts)}"
        for field, text in zip(self.fields, texts, strict=True):
            if field.pattern is not None and not re.fullmatch(field.pattern, text):
                return f"column {field.name}: expected {field.expected}, found {text!r}"
        return None


def _id(name: str) -> Field:
    return Field(name, "[0-9]{1,18}", "a whole number from 0")


_RATING_FIELDS = (
    _id("user_id"),
    _id("item_id"),
    Field("rating", r"0\.[5-9][0-9]*|[1-4](?:\.[0-9]*)?|5(?:\.0*)?", "a number from 0.5 to 5"),
    # Twelve digits and more are milliseconds.
    Field("timestamp", "[0-9]{1,11}", "whole seconds since 1970"),
)
_GENDER = Field("gender", "[FM]?", "F or M")
_AGE = Field("age", "(?:[0-9]{1,2}|1[0-4][0-9]|150)?", "whole years from 0 to 150")
_OCCUPATION, _ZIP_CODE, _TITLE = Field("occupation"), Field("zip_code"), Field("title")


def _rating_columns(texts: Column) -> list[Column]:
    return [
        texts[0].cast("long").alias("user_id"),
        texts[1].cast("long").alias("item_id"),
        texts[2].cast("double").alias("weight"),
        texts[3].cast("long").alias("timestamp"),
        F.lit(1).alias("label"),
        F.lit(None).cast("string").alias("split"),
    ]


def _user_columns(user: Column, gender: Column, age: Column, occupation: Column, zip_code: Column) -> list[Column]:
    return [
        user.cast("long").alias("user_id"),
        _no_key(),
        _or_null(gender).alias("gender"),
        _or_null(occupation).alias("occupation"),
        _or_null(zip_code).alias("zip_code"),
        _or_null(age).cast("double").alias("age"),
    ]


def _item_columns(item: Column, title: Column, genres: Column) -> list[Column]:
    return [item.cast("long").alias("item_id"), _no_key(), title.alias("title"), genres.alias("genres")]


def _no_key() -> Column:
    """Ids are whole numbers: no text stands behind them."""
    return F.lit(None).cast("string").alias("key")


def _or_null(text: Column) -> Column:
    return F.nullif(text, F.lit(""))


def _occupation_name(code: Column) -> Column:
    """The name of a code of ml-1m; a code that its README does not list stays as text."""
    names = F.array(*[F.lit(name) for name in ML_1M_OCCUPATIONS])
    return F.coalesce(F.get(names, code.try_cast("int")), code)


ML_100K_RATINGS = TableFormat("\t", _RATING_FIELDS, _rating_columns)
ML_100K_USERS = TableFormat(
    "|",
    (_id("user_id"), _AGE, _GENDER, _OCCUPATION, _ZIP_CODE),
    lambda texts: _user_columns(texts[0], texts[2], texts[1], texts[3], texts[4]),
    unique=True,
)
ML_1M_RATINGS = TableFormat("::", _RATING_FIELDS, _rating_columns)
ML_1M_USERS = TableFormat(
    "::",
    (_id("user_id"), _GENDER, _AGE, _OCCUPATION, _ZIP_CODE),
    lambda texts: _user_columns(texts[0], texts[1], texts[2], _occupation_name(texts[3]), texts[4]),
    unique=True,
)
ML_1M_ITEMS = TableFormat(
    "::",
    (_id("item_id"), _TITLE, Field("genres")),
    lambda texts: _item_columns(texts[0], texts[1], F.array_remove(F.split(texts[2], r"\|"), "")),
    unique=True,
)


def ml_100k_items(genres: Sequence[str]) -> TableFormat:
    """The format of u.item: five fields and one flag per genre; the flag "unknown" means no genre."""
    texts = (_TITLE, Field("release_date"), Field("video_date"), Field("address"))
    flags = (Field(f"genre {name}", "[01]", "0 or 1") for name in genres)

    def columns(texts: Column) -> list[Column]:
        names = F.array(*[F.lit(name) for name in genres])
        flagged = F.filter(names, lambda name, index: (F.get(texts, index + 5) == "1") & (name != "unknown"))
        return _item_columns(texts[0], texts[1], flagged)

    return TableFormat("|", (_id("item_id"), *texts, *flags), columns, unique=True)
