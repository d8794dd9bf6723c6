"""Kedro's registry: one pipeline per folder, all of them together, and one for each click model beside Wide & Deep."""

import importlib
import pkgutil

from kedro.pipeline import Pipeline

from tandem import pipelines as folders
from tandem.models.click import CLICK_MODELS
from tandem.pipelines.data_processing.recsys2021 import create_recsys2021_pipeline
from tandem.pipelines.inference import inference_pipeline
from tandem.pipelines.wnd_training import training_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Names to pipelines; ``__default__`` is what a run without a choice runs.

    A click model that no folder's pipeline trains has a pipeline of its name, which is complete in itself, and is left
    out of ``__default__``: it would add the time of its training to every run.
    """
    # Kedro's find_pipelines looks for a folder of each pipeline that a run asks for, and a click model's has none.
    names = [folder.name for folder in pkgutil.iter_modules(folders.__path__) if folder.ispkg]
    pipelines = {name: importlib.import_module(f"{folders.__name__}.{name}").create_pipeline() for name in names}
    default = pipelines["__default__"] = sum(pipelines.values(), start=Pipeline([]))
    trained = {node.name for node in default.nodes}
    return pipelines | {model: click_pipeline(model) for model in CLICK_MODELS if f"train_{model}" not in trained}


def click_pipeline(model: str) -> Pipeline:
    """The whole way of one click model: raw rows to its report; all nodes carry its name as their tag."""
    parts = create_recsys2021_pipeline(), training_pipeline(model), inference_pipeline(model)
    return Pipeline(list(parts), tags=model)
