"""What a trained click model says of itself, beside its weights. No framework is imported."""

from typing import Literal

from tandem.artifacts import ModelConfig
from tandem.models.click import click_model, short_title_of, title_of
from tandem.parameters import ClickParameters


class ClickConfig(ModelConfig):
    """What it takes to load the model. sizes: number of ids, 0 = unknown included, of every id column that it reads."""

    kind: Literal["click"] = "click"
    tag: str
    parameters: ClickParameters
    sizes: dict[str, int]

    @property
    def framework(self) -> Literal["tensorflow", "torch"]:
        """Of the builder's model, or without a builder of the model itself."""
        return framework_of(self.tag, self.parameters)

    @property
    def title(self) -> str:
        """What people call the model."""
        return title_of(self.tag, self.parameters.builder)

    @property
    def short_title(self) -> str:
        """The same for the head of a table's column."""
        return short_title_of(self.tag, self.parameters.builder)


def framework_of(name: str, parameters: ClickParameters) -> Literal["tensorflow", "torch"]:
    """What a model of this name is trained and scored by."""
    return click_model(name).framework if parameters.builder is None else parameters.framework
