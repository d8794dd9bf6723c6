"""What a trained click model says of itself, beside its weights. No framework is imported."""

from typing import Literal

from tandem.artifacts import ModelConfig
from tandem.parameters import WideAndDeepParameters


class ClickConfig(ModelConfig):
    """What it takes to load the model. sizes: number of ids, 0 = unknown included, of every id column that it reads."""

    kind: Literal["click"] = "click"
    tag: Literal["wnd"] = "wnd"
    parameters: WideAndDeepParameters
    sizes: dict[str, int]
