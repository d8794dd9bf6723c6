"""Kedro's registry: one pipeline per folder, all of them together, and one for each click model beside Wide & Deep."""

import importlib
import pkgutil

from kedro.pipeline import Pipeline

import tandem.pipelines
from tandem.models.click import CLICK_MODELS
from tandem.pipelines.data_processing.recsys2021 import create_recsys2021_pipeline
from tandem.pipelines.inference import inference_pipeline
from tandem.pipelines.wnd_training import training_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Names to pipelines; ``__default__`` is what a run without a choice runs.

    A click model that no folder's pipeline trains has a pipeline of its name, which is complete in itself, and is left
    out of ``__default__``: it would add the time of its training to every run.

    Always all of them: Kedro's ``find_pipelines``, in a run that names some, looks for folders of these names alone.
    """
    folders = sorted(module.name for module in pkgutil.iter_modules(tandem.pipelines.__path__) if module.ispkg)
    pipelines: dict[str, Pipeline] = {name: folder_pipeline(name) for name in folders}
    default = pipelines["__default__"] = sum(pipelines.values(), start=Pipeline([]))
    trained = {node.name for node in default.nodes}
    return pipelines | {model: click_pipeline(model) for model in CLICK_MODELS if f"train_{model}" not in trained}


def folder_pipeline(name: str) -> Pipeline:
    """What a folder of ``pipelines`` makes."""
    made: Pipeline = importlib.import_module(f"{tandem.pipelines.__name__}.{name}").create_pipeline()
    return made


def click_pipeline(model: str) -> Pipeline:
    """The whole way of one click model: raw rows to its report; all nodes carry its name as their tag."""
    parts = create_recsys2021_pipeline(), training_pipeline(model), inference_pipeline(model)
    return Pipeline(list(parts), tags=model)
