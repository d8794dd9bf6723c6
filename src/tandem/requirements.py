"""Packages that the nodes of a run will import: looked for before Spark starts, not met hours later."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from tandem.errors import UserError
from tandem.models.click import CLICK_MODELS
from tandem.surroundings import how_to_install

Parameters = Mapping[str, Any]
_TORCH = {"torch": "torch", "safetensors": "torch", "tensorboard": "torch"}
_TENSORFLOW = {"tensorflow": "tensorflow", "safetensors": "tensorflow", "tensorboard": "tensorflow"}
_FAISS = {"faiss": "retrieval"}


def _block(parameters: Parameters, *names: str) -> Parameters:
    """A block of parameters, empty where it is left out or of a wrong type, which is told elsewhere."""
    for name in names:
        found = parameters.get(name)
        parameters = found if isinstance(found, Mapping) else {}
    return parameters


def _extra(model: str, parameters: Parameters) -> str:
    """What a click model is trained and scored by: its own framework, or that of a builder."""
    block = _block(parameters, model)
    return str(block.get("framework")) if block.get("builder") else CLICK_MODELS[model].framework


def _clicks(model: str, parameters: Parameters) -> Mapping[str, str]:
    return _TORCH if _extra(model, parameters) == "torch" else _TENSORFLOW


def _ncf_baselines(parameters: Parameters) -> Mapping[str, str]:
    return {"implicit": "als"} if "als" in _block(parameters, "ncf", "baselines").get("models", ("als",)) else {}


def _click_baselines(model: str, parameters: Parameters) -> Mapping[str, str]:
    asked = _block(parameters, model, "baselines").get("models", ("boosted_trees",))
    return (
        {"sklearn": "torch" if _extra(model, parameters) == "torch" else "tensorflow"}
        if "boosted_trees" in asked
        else {}
    )


# What a node imports, in ranks or in Spark's Python processes, beyond what every installation has: module -> extra.
NEEDS: Mapping[str, Callable[[Parameters], Mapping[str, str]]] = {
    "train_ncf": lambda _: _TORCH,
    "evaluate_ncf_baselines": _ncf_baselines,
    "predict_ncf_test": lambda _: {"safetensors": "torch"},
    "rank_ncf_items": lambda _: {"safetensors": "torch"},
    "train_two_tower": lambda _: _TENSORFLOW,
    "build_two_tower_index": lambda _: _FAISS,
    "evaluate_two_tower_retrieval": lambda _: _FAISS,
    "find_recsys2021_candidates": lambda _: _FAISS,
    "rank_recsys2021_candidates": partial(_clicks, "wnd"),
    **{f"train_{model}": partial(_clicks, model) for model in CLICK_MODELS},
    **{f"evaluate_{model}_baselines": partial(_click_baselines, model) for model in CLICK_MODELS},
    **{f"predict_{model}_test": partial(_clicks, model) for model in CLICK_MODELS},
}


def missing(nodes: Iterable[str], parameters: Parameters) -> dict[str, list[str]]:
    """The modules that these nodes will import and that are not installed, by the extra that brings them."""
    found: dict[str, list[str]] = {}
    for node in set(nodes) & set(NEEDS):
        for module, extra in NEEDS[node](parameters).items():
            names = found.setdefault(extra, [])
            if module not in names and importlib.util.find_spec(module) is None:
                names.append(module)
    return {extra: names for extra, names in found.items() if names}


class RequirementsHook:
    """Raises UserError naming all packages that the nodes lack; the run command says which nodes are asked for."""

    nodes: ClassVar[tuple[str, ...]] = ()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Look once the parameters are known: they name frameworks and baselines."""
        lacking = missing(self.nodes, context.config_loader["parameters"])
        if lacking:
            modules = ", ".join(sorted({name for names in lacking.values() for name in names}))
            raise UserError(f"this run needs what is not installed: {modules}; {how_to_install(sorted(lacking))}")
