"""Parameters of a log of one's own: which file and which column plays which role."""

import codecs
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from tandem.errors import UserError
from tandem.parameters.closed import Parameters
from tandem.storage.locations import location

FeatureKind = Literal["category", "categories", "number"]
TIME_FORMATS = ("s", "ms", "us", "ns", "iso")
DIRECTIVES = "YmdHMSfybBIpz"
"""Of strftime, which a time's own format may have."""
# What the tables of a log are made of themselves.
_TAKEN = ("user_id", "item_id", "key", "title")


def _place(given: Any) -> str:
    try:
        return str(location(given))
    except UserError as error:
        raise ValueError(str(error)) from None


# A text still, as configuration has no other: with ~ expanded, and in the form in which places are compared.
Place = Annotated[str, BeforeValidator(_place), WithJsonSchema({"type": "path or address"})]
Name = Annotated[str, Field(strict=True, min_length=1)]


class FeatureParameters(Parameters):
    """What is known of a user or an item."""

    kind: FeatureKind
    column: Name | None = None
    min_count: int = Field(default=1, ge=1)
    separator: Name = "|"


def _features(given: Any) -> Any:
    """``name: kind`` is short for ``name: {kind: kind}``."""
    if not isinstance(given, Mapping):
        return given
    for name, feature in given.items():
        kind = feature.get("kind") if isinstance(feature, Mapping) else getattr(feature, "kind", feature)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"expected a name, found {name!r}; put it in quotes")
        if kind not in get_args(FeatureKind):
            raise ValueError(f"{name}: expected the kind category, categories or number, found {kind!r}")
        if name in _TAKEN:
            raise ValueError(
                f"{name} is a name that the tables have themselves; choose another, as in "
                f"my_{name}: {{column: {name}, kind: {kind}}}"
            )
    return {name: {"kind": feature} if isinstance(feature, str) else feature for name, feature in given.items()}


Features = Annotated[
    dict[str, FeatureParameters],
    BeforeValidator(_features),
    WithJsonSchema({"type": "kind, or block, by name"}),
]


class TableParameters(Parameters):
    """How a file of text is written; of Parquet nothing needs to be said."""

    columns: tuple[Name, ...] | None = Field(
        default=None, description="names of the columns, where the first row of a CSV file does not have them"
    )
    separator: Name | None = Field(default=None, description="between the columns of CSV; null: told by the first rows")
    quote: Annotated[str, Field(strict=True, max_length=1)] | None = Field(
        default='"', description="around fields of CSV, doubled inside; null: none has a meaning"
    )
    encoding: Name | None = Field(
        default=None, description="of text; null: a byte order mark, UTF-8, or else cp1252, by the first megabyte"
    )
    decimal: Literal[".", ","] = Field(default=".", description="before the fraction of a number in text")
    empty: tuple[Annotated[str, Field(strict=True)], ...] = Field(
        default=(), description="texts that stand for nothing, as NA, beside the empty one"
    )

    @field_validator("encoding", mode="after")
    @classmethod
    def _encoding_is_known(cls, name: str | None) -> str | None:
        try:
            known = name is None or bool(codecs.lookup(name)._is_text_encoding)
        except LookupError:
            known = False
        if not known:
            raise ValueError(f"{name} is not known; write utf-8, utf-16, cp1252, latin-1 or another that Python knows")
        return name

    @field_validator("columns", mode="after")
    @classmethod
    def _columns_differ(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = [name for name in names or () if (names or ()).count(name) > 1]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice; give each column a name of its own")
        return names


class InteractionsTableParameters(TableParameters):
    """Who took what, when and with what result: a row each time."""

    file: Name | None = Field(default=None, description="file or folder, below `path`")
    train: Name | None = Field(default=None, description="file or folder of training rows, in the place of `file`")
    validation: Name | None = Field(default=None, description="of rows to validate with, beside `train`")
    test: Name | None = Field(default=None, description="of rows to test with, beside `train`")
    user: Name = Field(description="column of the user's id; in JSON and structs as `user.id`")
    item: Name = Field(description="column of the item's id")
    time: Name | None = Field(default=None, description="column of the time; null: the log has none")
    weight: Name | None = Field(default=None, description="column of a number; rows without one are left out")
    label: Name | None = Field(default=None, description="column that is 1 (true) or 0; null: each row is a positive")
    split: Name | None = Field(default=None, description="column with the words train, validation and test")
    time_format: Name | None = Field(
        default=None,
        description="`s`, `ms`, `us` or `ns` since 1970, `iso`, or as in `%d.%m.%Y %H:%M`; null: what a type says, "
        "seconds, or ISO; without a zone it is UTC",
    )
    threshold: float | None = Field(default=None, description="label is a number, and 1 from this value on")

    @field_validator("time_format", mode="after")
    @classmethod
    def _time_format_is_known(cls, given: str | None) -> str | None:
        if given is None or given in TIME_FORMATS:
            return given
        letters = [given[index + 1 : index + 2] for index in range(len(given)) if given[index] == "%"]
        unknown = next((letter for letter in letters if not letter or letter not in DIRECTIVES), None)
        if unknown is not None or not {"d", "m", "b", "B"} & set(letters) or not {"Y", "y"} & set(letters):
            raise ValueError(
                f"expected s, ms, us, ns, iso or a form such as %d.%m.%Y %H:%M, of %{' %'.join(DIRECTIVES)}, "
                f"found {given!r}"
            )
        return given

    @model_validator(mode="after")
    def _rows_have_a_place(self) -> Self:
        if (self.file is None) == (self.train is None):
            raise ValueError("expected file, or train and test: one of file and train names the rows")
        if self.file is not None and (self.validation or self.test):
            raise ValueError("found file beside validation or test; write train in the place of file")
        if self.train is not None and self.test is None:
            raise ValueError("found train without test; name the file of test rows, or write file for train")
        if self.train is not None and self.split is not None:
            raise ValueError("found a column split beside files of their own; keep one of them")
        if self.threshold is not None and self.label is None:
            raise ValueError("found a threshold without a label; name the column of the label")
        if self.time_format is not None and self.time is None:
            raise ValueError("found time_format without time; name the column of the time")
        return self

    @property
    def files(self) -> dict[str | None, str]:
        """By the part of a given split; of the key None where they are all in one place."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {None: self.file} if self.file else {part: file for part, file in parts.items() if file}


class UsersTableParameters(TableParameters):
    """What is known of users, a row each."""

    file: Name = Field(description="file or folder, below `path`")
    id: Name = Field(description="column of the user's id, as the interactions have it")
    features: Features = Field(
        default={},
        description="`name: kind` (`category`, `categories` or `number`), or `name: {column, kind, min_count, "
        "separator}`; a category with fewer rows than min_count is unknown",
    )


class ItemsTableParameters(TableParameters):
    """What is known of items, a row each."""

    file: Name = Field(description="file or folder, below `path`")
    id: Name = Field(description="column of the item's id, as the interactions have it")
    title: Name | None = Field(default=None, description="column of the name that lists show")
    features: Features = Field(default={}, description="as those of users")


class TablesParameters(Parameters):
    """A log of one's own; `tandem describe` writes a first version."""

    path: Place = Field(description="folder of the files, or its address; relative ones start at the project")
    interactions: InteractionsTableParameters
    users: UsersTableParameters | None = Field(default=None, description="null: nothing is known of users")
    items: ItemsTableParameters | None = Field(default=None, description="null: nothing is known of items")
