"""Kinds that look a number up by the texts of one column or several."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tandem.features.spec.base import Finite, Named, Statistic


class _Lookup(Named):
    """Keys and their numbers: ``values`` with ``numbers``, or a ``path``. Keys of several columns are one text."""

    values: tuple[str, ...] | None = Field(default=None, description="texts; of several columns, joined by SEPARATOR")
    numbers: tuple[Finite, ...] | None = None
    path: str | None = Field(default=None, description="the table of value and number, when they are many")
    digest: str | None = Field(default=None, description="of the rows of that table, whatever their order")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.values is None) == (self.path is None):
            raise ValueError(f"{self.name} needs either values or a path")
        if self.values is not None and len(self.values) != len(self.numbers or ()):
            raise ValueError(f"{self.name} has {len(self.values)} values and {len(self.numbers or ())} numbers")
        return self


class TargetEncodingFeature(_Lookup):
    """The mean of the target among the training rows of a value, drawn towards that of all; missing is the mean of all.

    ``numbers`` are ``(sum + mean * smooth) / (count + smooth)`` (Micci-Barreca 2001), to 12 digits.
    """

    kind: Literal["target_encoding"] = "target_encoding"
    column: str
    mean: Finite
    smooth: Finite = Field(ge=0.0, description="how many rows of the mean are added to a value's own")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns whose texts are the key."""
        return (self.column,)

    @property
    def missing(self) -> float:
        """The mean of all training rows, which a value that training did not see has, too."""
        return self.mean


class GroupStatisticFeature(_Lookup):
    """A statistic of the training rows that share a row's keys; ``default`` for a group that training did not see."""

    kind: Literal["group_statistic"] = "group_statistic"
    keys: tuple[str, ...] = Field(min_length=1)
    column: str = Field(description="what the statistic is of")
    statistic: Statistic
    default: Finite = Field(description="0 for counts and sums; otherwise the statistic of all training rows")

    @property
    def missing(self) -> float:
        """Of a group that training did not see, too."""
        return self.default
