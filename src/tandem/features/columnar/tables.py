"""What rows are looked up in: vocabularies and numbers, from the spec itself or from the tables that it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.errors import UserError
from tandem.features.columnar.lookups import Lookup
from tandem.features.columnar.matching import Matcher
from tandem.features.spec import UNKNOWN, LookupKind, VocabularyKind

Vocabularies = Mapping[str, pa.Table]
"""Name of a feature with a ``path`` -> that table: columns ``value`` and ``id``, or ``value`` and ``number``."""


@dataclass(frozen=True)
class Vocabulary:
    """Values and their ids: the n-th of ``values`` has id n + 1, or what ``ids`` says of it."""

    matcher: Matcher
    ids: npt.NDArray[np.int32]

    def of_one(self, value: Any) -> int:
        """The id of one value; 0 for None and the unknown."""
        return int(self.ids[self.matcher.place(value)])

    def of(self, values: pa.Array) -> npt.NDArray[np.int32]:
        """The id of each value, int32 [n]; 0 for null and the unknown."""
        return self.ids[self.matcher.places(values)]


def vocabulary(feature: VocabularyKind, tables: Vocabularies) -> Vocabulary:
    """The vocabulary of a feature; ``UserError`` where it lies in a table that is not given."""
    if feature.values is not None:
        matcher = Matcher(pa.array(feature.values, pa.string()), feature.name)
        return Vocabulary(matcher, np.append(np.arange(1, len(feature.values) + 1, dtype=np.int32), np.int32(UNKNOWN)))
    table = _table(feature, tables, "id")
    ids = table.column("id").cast(pa.int32()).to_numpy()
    return Vocabulary(Matcher(table.column("value").combine_chunks(), feature.name), np.append(ids, np.int32(UNKNOWN)))


def lookup(feature: LookupKind, tables: Vocabularies) -> Lookup:
    """The numbers of a feature; ``UserError`` where they lie in a table that is not given."""
    if feature.values is not None:
        return Lookup(feature, pa.array(feature.values, pa.string()), pa.array(feature.numbers or (), pa.float64()))
    table = _table(feature, tables, "number")
    return Lookup(feature, table.column("value").combine_chunks(), table.column("number").combine_chunks())


def _table(feature: VocabularyKind | LookupKind, tables: Vocabularies, content: str) -> pa.Table:
    if feature.name not in tables:
        raise UserError(f"feature {feature.name} ({feature.kind}) lies in {feature.path}: give its table")
    table = tables[feature.name]
    absent = [name for name in ("value", content) if name not in table.column_names]
    if absent:
        raise UserError(
            f"feature {feature.name}: its table has no column {absent[0]}, only {', '.join(table.column_names)}"
        )
    return table
