"""One schema for any log: who took what, when and with what result, and what is known of users and items.

Every source of interactions ends in :class:`InteractionTables`; nothing behind it knows where a row comes from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

AttributeKind = Literal["category", "categories", "number"]
IdKind = Literal["whole", "text"]
Side = Literal["users", "items"]


@dataclass(frozen=True)
class TableRead:
    """How much of a table was read: of how many files, and how many rows."""

    files: int
    rows: int


@dataclass(frozen=True)
class Attribute:
    """A column of the users' or items' table that models learn from.

    kind: ``category``, one text a row (null: unknown); ``categories``, an array of texts (empty: none); ``number``, a
    double (null: unknown). min_count: a category that fewer users (or items) have is unknown.
    """

    name: str
    kind: AttributeKind
    min_count: int = 1


@dataclass(frozen=True)
class LogSchema:
    """What a log has, beside its rows; it travels as JSON next to them.

    user_ids, item_ids: ``whole`` where ``user_id`` is what the user's own log says; ``text`` where it numbers the texts
    of the column ``key`` of the table, 1..n in their ascending order.
    """

    source: str
    user_attributes: tuple[Attribute, ...] = ()
    item_attributes: tuple[Attribute, ...] = ()
    user_ids: IdKind = "whole"
    item_ids: IdKind = "whole"
    has_time: bool = True
    has_weight: bool = True
    has_label: bool = False
    has_split: bool = False

    def attributes(self, side: Side) -> tuple[Attribute, ...]:
        """Of users or items."""
        return self.user_attributes if side == "users" else self.item_attributes

    def to_json(self) -> dict[str, Any]:
        """JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        sides = {
            name: tuple(Attribute(**one) for one in values[name]) for name in ("user_attributes", "item_attributes")
        }
        return cls(**{**values, **sides})


@dataclass(frozen=True)
class InteractionTables:
    """A log in the roles that its columns play.

    Attributes:
        interactions: user_id long, item_id long, weight double (1.0 where the log has none), timestamp long (seconds;
            null where it has none), label int (1 or 0; 1 where it has none), split string (``train``, ``validation``,
            ``test``; null where it has none).
        users: user_id long, key string (its text id, null where ids are whole numbers), and a column per attribute;
            one row a user.
        items: item_id long, key string, title string (null: none), and a column per attribute; one row an item.
        schema: which of these the log has.
        read: what was read of each table, by the name that its file or folder has.
        unlisted_users: where ids are texts, which only ``users`` can name: the user_id of those of its rows that the
            log's table of users has not; None where there are none to tell apart.
        unlisted_items: the same of items, item_id.
    """

    interactions: "DataFrame"
    users: "DataFrame"
    items: "DataFrame"
    schema: LogSchema
    read: dict[str, TableRead] = field(default_factory=dict)
    unlisted_users: "DataFrame | None" = None
    unlisted_items: "DataFrame | None" = None
