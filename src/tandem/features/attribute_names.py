"""What the attributes of a log are called where they are encoded: they may be named anything, columns may not."""

import re
import unicodedata
from collections.abc import Iterable

from tandem.features.spec import Table

# Columns that stand beside encoded attributes, from the feature tables to the predictions.
RESERVED = frozenset(
    {
        *("user", "item", "user_id", "item_id", "key", "title", "popularity"),
        *("label", "weight", "timestamp", "split", "validation"),
        *("prediction", "source", "positives", "rows", "base"),
    }
)
_PLAIN = re.compile("[a-z][a-z0-9_]*")


def encoded_names(users: Iterable[str], items: Iterable[str]) -> dict[Table, dict[str, str]]:
    """A name for the encoded column of each attribute, by its side and its own name; no two are the same.

    A name stays where it is plain (small letters of ASCII, digits and ``_``), no column of ours, and no attribute of
    the other side as well. Others get their side in front: ``user_country`` and ``item_country``, ``item_grosse_cm``
    for "Größe (cm)"; a number follows where that is taken.

    >>> encoded_names(["age", "country"], ["country", "label"])["item"]
    {'country': 'item_country', 'label': 'item_label'}
    """
    sides: dict[Table, list[str]] = {"user": list(users), "item": list(items)}
    both = set(sides["user"]) & set(sides["item"])
    stay = {name for names in sides.values() for name in names if _stays(name) and name not in both}
    taken = set(stay)
    encoded: dict[Table, dict[str, str]] = {"user": {}, "item": {}}
    for side, names in sides.items():
        for name in names:
            encoded[side][name] = name if name in stay else _free(f"{side}_{_plain(name)}", taken)
            taken.add(encoded[side][name])
    return encoded


def _stays(name: str) -> bool:
    return _PLAIN.fullmatch(name) is not None and name not in RESERVED


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return re.sub("[^a-z0-9]+", "_", letters).strip("_") or "feature"


def _free(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken or name in RESERVED:
        number += 1
        name = f"{wanted}_{number}"
    return name
