"""Models of a click, by name. All are trained, scored and reported on alike, on the same rows.

No framework is imported: Kedro's process, which lists and draws the pipelines, knows none.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tandem.errors import UserError, did_you_mean


@dataclass(frozen=True)
class ClickModel:
    """A click model of ours; title: for people, short_title: for the head of a table's column.

    build: dotted path of the function that builds the network. In Keras it is called as ``build(sizes, parameters, *,
    precision, seed)``, with the number of ids of each id column and ``ClickModelParameters``, and returns a
    ``keras.Model``. In PyTorch, whose generator is seeded before, it is called as ``build(sizes, parameters)``, and
    returns a ``torch.nn.Module``. What either takes and returns is in docs/custom_models.md.
    """

    title: str
    short_title: str
    build: str
    framework: Literal["tensorflow", "torch"] = "tensorflow"


CLICK_MODELS = {
    "wnd": ClickModel("Wide & Deep", "W&D", "tandem.models.click.wide_and_deep.build_wide_and_deep"),
    "deepfm": ClickModel("DeepFM", "DeepFM", "tandem.models.click.deepfm.build_deepfm"),
}
"""By the name of its tag, of its block of parameters and of its folders in ``data``."""


def click_model(name: str) -> ClickModel:
    """The model of this name; UserError where there is none."""
    if name not in CLICK_MODELS:
        raise UserError(f"there is no click model {name}; {did_you_mean(name, CLICK_MODELS)}")
    return CLICK_MODELS[name]


def network(name: str) -> Callable[..., Any]:
    """The function that builds the network of a model; its framework is imported, and its layers are registered."""
    module, _, function = click_model(name).build.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


def title_of(name: str, builder: str | None) -> str:
    """What people call a model: one of a user's own by the path of its builder."""
    return builder or click_model(name).title


def short_title_of(name: str, builder: str | None) -> str:
    """The same for the head of a table's column."""
    return builder.rpartition(".")[2] if builder else click_model(name).short_title
