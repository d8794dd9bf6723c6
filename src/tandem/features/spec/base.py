"""What all kinds of features share: a name, a source column, and a value for rows that have none."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

UNKNOWN = 0
"""The id of whatever training did not see."""
SEPARATOR = "\x01"
"""Stands between texts that are one key together, so that ("1", "12") and ("11", "2") differ; no text of the data
holds it."""

Table = Literal["user", "item", "pair"]
Statistic = Literal["count", "sum", "mean", "min", "max"]
Encoded = int | float | tuple[int, ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Closed(BaseModel):
    """Immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(Closed):
    """What the encoded column is called, and whose it is: the user's, the item's, or of the two together."""

    name: str
    table: Table

    @property
    def missing(self) -> Encoded:
        """The encoded value of a row without such a feature: an id, a number, or a list of ids."""
        return UNKNOWN


class Source(Named):
    """Where a raw value comes from."""

    column: str
