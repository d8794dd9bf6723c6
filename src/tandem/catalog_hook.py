"""Kedro hook: every dataset of a run is made before anything is read, and what is wrong in the catalog is told."""

import difflib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractVersionedDataset, CatalogProtocol, DataCatalog, DatasetError
from kedro.io.core import parse_dataset_definition
from kedro.pipeline import Pipeline

import tandem.datasets
from tandem.config_loader import ConfigLoader, named_place
from tandem.errors import UserError, did_you_mean

TYPES = tuple(f"{tandem.datasets.__name__}.{name}" for name in tandem.datasets.__all__)
# A name is taken for a misspelt one where they agree so far: entries of one's own may stand beside those of the graph.
CLOSE = 0.85


class CatalogHook:
    """Faults in a catalog end the run at its start, each by its file and entry."""

    def __init__(self) -> None:
        self._loader: OmegaConfigLoader | None = None
        self._entries: Mapping[str, Any] = {}

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keep the loader, which knows what stands in which file."""
        loader = context.config_loader
        self._loader = loader if isinstance(loader, OmegaConfigLoader) else None

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Keep what the catalog was made from."""
        self._entries = conf_catalog

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Make all datasets of the run, as its runner will.

        Raises:
            UserError: an entry cannot be made; the name of another is misspelt; a version is asked for of a dataset
                that has none.
        """
        self._check_names(pipeline)
        for name in sorted(pipeline.datasets()):
            try:
                catalog.get(name)
            except DatasetError as error:
                entry = self._entries.get(self._named(name, catalog), {})
                raise UserError(f"{self._place(self._named(name, catalog))}: {what_is_wrong(entry, error)}") from error
        for name in run_params.get("load_versions") or {}:
            if not isinstance(catalog.get(name), AbstractVersionedDataset):
                raise UserError(f"--load-versions: the dataset {name} has no versions; leave it out")

    def _check_names(self, pipeline: Pipeline) -> None:
        """An entry that nothing uses, and whose name is almost that of one that something does, is a misspelt one.

        Used are conf/base's own, and what any pipeline reads or writes: an entry of its name may stand in a pattern's
        place.
        """
        if not isinstance(self._loader, ConfigLoader):
            return
        base = self._loader.names_of_base("catalog")
        used = base.union(pipeline.datasets(), *(registered.datasets() for registered in pipelines.values()))
        for name in sorted(self._entries.keys() - used):
            close = difflib.get_close_matches(name, used, 1, CLOSE)
            if close and "{" not in name:
                raise UserError(f"{self._place(name)}: no node reads or writes it; did you mean {close[0]}?")

    def _named(self, dataset: str, catalog: CatalogProtocol[Any, Any]) -> str:
        """The name that the entry of a dataset has in the catalog: its own, or a pattern."""
        if dataset in self._entries or not isinstance(catalog, DataCatalog):
            return dataset
        return catalog.config_resolver.match_dataset_pattern(dataset) or dataset

    def _place(self, name: str) -> str:
        file: Path | None = self._loader.file_of("catalog", name) if isinstance(self._loader, ConfigLoader) else None
        return named_place(file, name)


def what_is_wrong(entry: Mapping[str, Any], error: DatasetError) -> str:
    """What keeps Kedro from making a dataset of an entry, with the name that was perhaps meant."""
    cause = error.__cause__
    if isinstance(cause, UserError):
        return str(cause)
    type_ = str(entry.get("type"))
    try:
        class_, arguments = parse_dataset_definition(dict(entry))
    except Exception as unknown:  # whatever importing a module of that name raises: it is the entry that names it
        return _unknown_type(type_, unknown)
    if isinstance(cause, TypeError):
        return _wrong_arguments(type_, class_, arguments) or f"{type_}: {cause}"
    return f"{type_}: {' '.join(str(cause or error).split())}"


def _unknown_type(type_: str, error: Exception) -> str:
    close = difflib.get_close_matches(type_, TYPES, 1, CLOSE)
    if close and type_ != close[0]:
        return f"there is no type {type_}; did you mean {close[0]}?"
    return f"the type {type_} cannot be used: {' '.join(str(error).partition('Hint:')[0].split())}"


def _wrong_arguments(type_: str, class_: type, arguments: Mapping[str, Any]) -> str | None:
    """The first argument that the class does not take, or needs and has not got."""
    taken = inspect.signature(class_).parameters
    if "version" in arguments and "version" not in taken:
        return f"versioned: datasets of the type {type_} have no versions; remove it"
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in taken.values()):
        for name in arguments:
            if name not in taken:
                return f"{name}: {type_} has no such argument; {did_you_mean(name, taken)}"
    for name, parameter in taken.items():
        named = parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        if named and parameter.default is inspect.Parameter.empty and name not in arguments:
            return f"{type_} needs {name}, and it is not given"
    return None
