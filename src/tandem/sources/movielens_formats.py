"""The published file formats of MovieLens as Spark expressions: how a line is split, judged and read.

Fields are judged as text first, so that a wrong one can be named with its column and row instead of becoming a null.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F  # noqa: N812

from tandem.sources.movielens_names import ML_1M_OCCUPATIONS

LATEST_SECOND = 253_402_300_799  # the end of year 9999; milliseconds exceed it


@dataclass(frozen=True)
class Field:
    """A column of a file: its name, whether a text is valid (a Spark condition), and what to say when it is not."""

    name: str
    valid: Callable[[Column], Column]
    expected: str


@dataclass(frozen=True)
class TableFormat:
    """A file: its separator, its fields by position, and the output columns computed from the fields' texts.

    ``key`` is the output column that identifies a row, or None where rows may repeat.
    """

    separator: str
    fields: tuple[Field, ...]
    columns: Callable[[dict[str, Column]], list[Column]]
    key: str | None = None

    def texts(self, parts: Column) -> dict[str, Column]:
        """The fields of a line that was split into ``parts`` (array of text), by name."""
        return {field.name: F.get(parts, index) for index, field in enumerate(self.fields)}

    def problem(self, parts: Column) -> Column:
        """What is wrong with a line, in words; null where nothing is."""
        count = len(self.fields)
        wrong_count = F.when(
            F.size(parts) != count,
            F.format_string(f"expected {count} fields separated by {self.separator!r}, found %d", F.size(parts)),
        )
        texts = self.texts(parts)
        wrong_fields = [
            F.when(
                ~F.coalesce(field.valid(texts[field.name]), F.lit(False)),
                F.concat(
                    F.lit(f"column {field.name}: expected {field.expected}, found '"), texts[field.name], F.lit("'")
                ),
            )
            for field in self.fields
            if field.valid is not _anything
        ]
        return F.coalesce(wrong_count, *wrong_fields)


def _anything(_text: Column) -> Column:
    return F.lit(True)


def _whole(low: int, high: int) -> Callable[[Column], Column]:
    return lambda text: text.try_cast("long").between(low, high)


def _or_empty(valid: Callable[[Column], Column]) -> Callable[[Column], Column]:
    return lambda text: (text == "") | valid(text)


def _id(name: str) -> Field:
    return Field(name, _whole(0, 2**62), "a whole number from 0")


_RATING_FIELDS = (
    _id("user_id"),
    _id("item_id"),
    # NaN is greater than every number in Spark, so it falls outside too.
    Field("rating", lambda text: text.try_cast("double").between(0.5, 5.0), "a number from 0.5 to 5"),
    Field("timestamp", _whole(0, LATEST_SECOND), "whole seconds since 1970"),
)
_GENDER = Field("gender", lambda text: text.isin("F", "M", ""), "F or M")
_AGE = Field("age", _or_empty(_whole(0, 150)), "whole years from 0 to 150")
_OCCUPATION = Field("occupation", _anything, "text")
_ZIP_CODE = Field("zip_code", _anything, "text")


def _rating_columns(texts: dict[str, Column]) -> list[Column]:
    return [
        texts["user_id"].try_cast("long").alias("user_id"),
        texts["item_id"].try_cast("long").alias("item_id"),
        texts["rating"].try_cast("double").alias("rating"),
        texts["timestamp"].try_cast("long").alias("timestamp"),
    ]


def _user_columns(texts: dict[str, Column], occupation: Column) -> list[Column]:
    return [
        texts["user_id"].try_cast("long").alias("user_id"),
        F.nullif(texts["gender"], F.lit("")).alias("gender"),
        texts["age"].try_cast("int").alias("age"),
        F.nullif(occupation, F.lit("")).alias("occupation"),
        F.nullif(texts["zip_code"], F.lit("")).alias("zip_code"),
    ]


def _item_columns(texts: dict[str, Column], year: Column, genres: Column) -> list[Column]:
    return [
        texts["item_id"].try_cast("long").alias("item_id"),
        texts["title"].alias("title"),
        year.alias("year"),
        genres.alias("genres"),
    ]


def _title_year(title: Column) -> Column:
    return F.regexp_extract(title, r"\((\d{4})\)\s*$", 1).try_cast("int")


def _occupation_name(code: Column) -> Column:
    """The name of a code of ml-1m; a code that its README does not list stays as text."""
    names = F.array(*[F.lit(name) for name in ML_1M_OCCUPATIONS])
    return F.coalesce(F.get(names, code.try_cast("int")), code)


ML_100K_RATINGS = TableFormat("\t", _RATING_FIELDS, _rating_columns)
ML_100K_USERS = TableFormat(
    "|",
    (_id("user_id"), _AGE, _GENDER, _OCCUPATION, _ZIP_CODE),
    lambda texts: _user_columns(texts, texts["occupation"]),
    key="user_id",
)
ML_1M_RATINGS = TableFormat("::", _RATING_FIELDS, _rating_columns)
ML_1M_USERS = TableFormat(
    "::",
    (_id("user_id"), _GENDER, _AGE, _OCCUPATION, _ZIP_CODE),
    lambda texts: _user_columns(texts, _occupation_name(texts["occupation"])),
    key="user_id",
)


def _ml_1m_item_columns(texts: dict[str, Column]) -> list[Column]:
    genres = F.array_remove(F.split(texts["genres"], r"\|"), "")
    return _item_columns(texts, _title_year(texts["title"]), genres)


ML_1M_ITEMS = TableFormat(
    "::",
    (_id("item_id"), Field("title", _anything, "text"), Field("genres", _anything, "text")),
    _ml_1m_item_columns,
    key="item_id",
)


def ml_100k_items(genres: Sequence[str]) -> TableFormat:
    """The format of u.item: five fields and one flag per genre; the flag "unknown" means no genre."""
    texts = [Field(name, _anything, "text") for name in ("title", "release_date", "video_date", "address")]
    flags = [Field(f"genre {name}", lambda text: text.isin("0", "1"), "0 or 1") for name in genres]

    def columns(fields: dict[str, Column]) -> list[Column]:
        names = [F.when(fields[f"genre {name}"] == "1", name) for name in genres if name != "unknown"]
        released = F.regexp_extract(fields["release_date"], r"(\d{4})$", 1).try_cast("int")
        year = F.coalesce(released, _title_year(fields["title"]))
        return _item_columns(fields, year, F.array_compact(F.array(*names)))

    return TableFormat("|", (_id("item_id"), *texts, *flags), columns, key="item_id")
