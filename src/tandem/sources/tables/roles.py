"""Which columns of each table are read, and as what. No Spark here."""

from dataclasses import dataclass
from typing import Literal

from tandem.parameters import (
    FeatureParameters,
    InteractionsTableParameters,
    ItemsTableParameters,
    TableParameters,
    TablesParameters,
    UsersTableParameters,
)
from tandem.sources.schema import Attribute, LogSchema

RoleKind = Literal["id", "time", "weight", "label", "split", "text", "category", "categories", "number"]
TableName = Literal["interactions", "users", "items"]

EXPECTED: dict[RoleKind, str] = {
    "id": "a whole number or a text",
    "time": "a time",
    "weight": "a number",
    "label": "1 or 0, true or false",
    "split": "train, validation or test",
    "text": "text",
    "category": "a text or a number",
    "categories": "a list of texts",
    "number": "a number, or nothing",
}


@dataclass(frozen=True)
class Role:
    """A column that is read.

    Attributes:
        name: it is read under: of the interactions as in ``InteractionTables``; of a feature ``feature_0`` and so on.
        column: in the files.
        kind: what its values are.
        separator: between the categories of one text.
    """

    name: str
    column: str
    kind: RoleKind
    separator: str = "|"


@dataclass(frozen=True)
class Table:
    """A table as the parameters have it.

    Attributes:
        name: which one.
        parameters: how its files are written.
        files: by the part of a given split, None where all rows are in one place.
        roles: the columns that are read.
        features: the names of those that models learn from, by the names they are read under.
    """

    name: TableName
    parameters: TableParameters
    files: dict[str | None, str]
    roles: tuple[Role, ...]
    features: dict[str, str]


def described(parameters: TablesParameters) -> tuple[Table, ...]:
    """The tables that there are; the first is that of the interactions."""
    sides = (_side("users", parameters.users), _side("items", parameters.items))
    return (_interactions(parameters.interactions), *(side for side in sides if side is not None))


def log_schema(parameters: TablesParameters) -> LogSchema:
    """What the log has, before the ids were looked at."""
    log = parameters.interactions
    return LogSchema(
        source="tables",
        user_attributes=_attributes(parameters.users),
        item_attributes=_attributes(parameters.items),
        has_time=log.time is not None,
        has_weight=log.weight is not None,
        has_label=log.label is not None,
        has_split=log.split is not None or log.train is not None,
    )


def _interactions(log: InteractionsTableParameters) -> Table:
    found: tuple[tuple[str, str | None, RoleKind], ...] = (
        ("user_id", log.user, "id"),
        ("item_id", log.item, "id"),
        ("weight", log.weight, "weight"),
        ("timestamp", log.time, "time"),
        ("label", log.label, "label"),
        ("split", log.split, "split"),
    )
    roles = tuple(Role(name, column, kind) for name, column, kind in found if column is not None)
    return Table("interactions", log, log.files, roles, {})


def _side(name: TableName, side: UsersTableParameters | ItemsTableParameters | None) -> Table | None:
    if side is None:
        return None
    roles = [Role("user_id" if name == "users" else "item_id", side.id, "id")]
    if isinstance(side, ItemsTableParameters) and side.title is not None:
        roles.append(Role("title", side.title, "text"))
    features = {f"feature_{index}": feature for index, feature in enumerate(side.features)}
    for own, feature in features.items():
        given = side.features[feature]
        roles.append(Role(own, given.column or feature, given.kind, given.separator))
    return Table(name, side, {None: side.file}, tuple(roles), features)


def _attributes(side: UsersTableParameters | ItemsTableParameters | None) -> tuple[Attribute, ...]:
    given: dict[str, FeatureParameters] = {} if side is None else side.features
    return tuple(Attribute(name, feature.kind, feature.min_count) for name, feature in given.items())
