"""The types of Parquet's columns that each role can be read of. No Spark here."""

import pyarrow as pa

from tandem.errors import UserError
from tandem.sources.parquet_columns import StoredColumn
from tandem.sources.tables.roles import EXPECTED, Role, RoleKind
from tandem.storage.locations import Location
from tandem.storage.parquet import is_text, without_dictionary

# Of which each row must have a value, as far as the footer of a file can tell.
_NEVER_NULL: frozenset[RoleKind] = frozenset({"id", "time", "label", "split"})


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_simple(type_: pa.DataType) -> bool:
    return _is_number(type_) or is_text(type_) or bool(pa.types.is_boolean(type_))


def check_type(path: Location, role: Role, stored: StoredColumn) -> None:
    """Raise UserError where a column of Parquet is of a type that its role cannot be read of."""
    type_ = without_dictionary(stored.type)
    if stored.is_void:
        if role.kind in _NEVER_NULL:
            raise UserError(
                f"{path}: column {role.column}: expected {EXPECTED[role.kind]}, found no value in any row (the type "
                f"{type_}); fill it, or name another column"
            )
    elif stored.read_as is None or not _fits(role.kind, type_, stored):
        raise UserError(
            f"{path}: column {role.column}: expected {EXPECTED[role.kind]}, found the type {type_}; convert it"
        )


def _fits(kind: RoleKind, type_: pa.DataType, stored: StoredColumn) -> bool:
    if kind == "categories":
        return is_text(type_) or str(stored.read_as).startswith("array<")
    if kind == "time":
        return _is_number(type_) or is_text(type_) or stored.per_second is not None or stored.read_as == "date"
    if kind == "id":
        return is_text(type_) or (_is_number(type_) and not stored.has_fractions)
    if kind in ("split", "text"):
        return is_text(type_)
    if kind in ("weight", "number"):
        return _is_number(type_) or is_text(type_) or bool(pa.types.is_boolean(type_) and kind == "number")
    return _is_simple(type_) or (kind == "category" and stored.read_as == "date")
