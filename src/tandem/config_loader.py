"""Kedro's configuration loader, with a catalog that reads the parameters a run has, and faults told by file and entry.

A catalog says ``${parameter:tables_path}``: the value from conf/base, the environment or ``--params``, checked as a run
checks it. Kedro's own ``${runtime_params:…}`` and ``${globals:…}`` would miss what stands in a parameters file.
"""

import contextlib
import copy
import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import MarkedYAMLError, YAMLError

from tandem.errors import UserError, did_you_mean, invalid_parameters
from tandem.models.click import CLICK_MODELS
from tandem.parameters import DataParameters
from tandem.storage.locations import location

RESOLVER = "parameter"
PATTERN = "{model}"  # of the entries that every click model has
PATHS = ("filepath", "path")  # what Kedro makes absolute; its way of it takes ~ for a folder


class ConfigLoader(OmegaConfigLoader):
    """One configuration, its parameters merged as Kedro merges them; several in one process do not mix."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # By kind and name: where a name stands first, which is conf/base where that has it, and where it stands last.
        self._first_files: dict[str, dict[str, Path]] = {}
        self._files: dict[str, dict[str, Path]] = {}
        self._read: tuple[Any, dict[str, Any]] | None = None
        super().__init__(*arguments, **options)
        if self._protocol == "file":
            self._fs = _Literally(self._fs, Path(self.conf_source))

    def __getitem__(self, key: str) -> dict[str, Any]:
        """The configuration of a kind, such as ``parameters``, ``catalog`` or ``spark``.

        Raises:
            UserError: a file cannot be read, holds something else or says what another file says; a value cannot be
                resolved; of the catalog: an entry is none, or a parameter that it reads does not fit.
        """
        self._register_globals_resolver()  # Kedro leaves that of the newest loader
        if key == "parameters" and key not in self:
            return self._parameters()
        if key != "catalog" or key in self:
            return super().__getitem__(key)
        with self._parameters_resolved():
            entries = super().__getitem__(key)
        checked = {name: self._checked(name, entry) for name, entry in entries.items()}
        places = [str(Path(self.conf_source).absolute()), str(Path.cwd()), *_texts(checked)]
        return _without_patterns(checked) if any("{" in text.replace(PATTERN, "") for text in places) else checked

    def file_of(self, key: str, name: str) -> Path | None:
        """The file that an entry of a configuration comes from, once that has been read."""
        return self._files.get(key, {}).get(name)

    def names_of_base(self, key: str) -> set[str]:
        """The names that conf/base has in a configuration, once that has been read."""
        base = Path(self._get_conf_env_path(self.base_env))
        return {name for name, file in self._first_files.get(key, {}).items() if file.is_relative_to(base)}

    def _parameters(self) -> dict[str, Any]:
        """The parameters, read once: hooks, the catalog and Kedro ask for them in turn."""
        if self._read is None or self._read[0] != self.runtime_params:
            self._read = copy.deepcopy(self.runtime_params), super().__getitem__("parameters")
        return copy.deepcopy(self._read[1])

    @contextlib.contextmanager
    def _parameters_resolved(self) -> Iterator[None]:
        """``${parameter:NAME}`` gives this loader's value while the catalog is read, and is unknown elsewhere."""
        parameters = self["parameters"]
        texts = wrong_data(parameters)
        if texts:
            raise UserError("; ".join(texts))
        values = OmegaConf.create(parameters | data_parameters(parameters).model_dump())

        def value(name: str) -> Any:
            found = OmegaConf.select(values, name, default=self)
            if found is self:
                raise UserError(f"there is no parameter {name}; {did_you_mean(name, values)}")
            return found

        OmegaConf.register_new_resolver(RESOLVER, value, replace=True)
        try:
            yield
        finally:
            OmegaConf.clear_resolver(RESOLVER)

    def _checked(self, name: str, entry: Any) -> Any:
        place = named_place(self.file_of("catalog", name), name)
        if not isinstance(entry, dict):
            raise UserError(f"{place}: expected a dataset, a block with its type, found {entry!r}")
        if not isinstance(entry.get("type"), str):
            raise UserError(f"{place}: expected a type such as tandem.datasets.ParquetFolderDataset, found none")
        try:
            return _home_expanded(entry)
        except UserError as error:
            raise UserError(f"{place}: {error}") from error

    def _read_dir_configs(
        self, conf_path: str, patterns: Any, key: str, processed_files: Any, read_environment_variables: Any = False
    ) -> dict[Path, DictConfig]:
        try:
            found: dict[Path, DictConfig] = super()._read_dir_configs(
                conf_path, patterns, key, processed_files, read_environment_variables
            )
        except (YAMLError, UnicodeDecodeError, OSError) as error:
            raise UserError(self._unreadable(conf_path, patterns) or f"{conf_path}: {error}") from error
        return found

    def _unreadable(self, folder: str, patterns: Any) -> str | None:
        """What is wrong with the first of the files that cannot be read; Kedro names it for some faults alone."""
        for pattern in patterns:
            for name in sorted(self._fs.glob(f"{folder}/{pattern}")):
                if not self._is_valid_config_path(Path(name)):
                    continue
                try:
                    with self._fs.open(name, "r", encoding="utf-8") as file:
                        OmegaConf.load(file)
                except (YAMLError, UnicodeDecodeError, OSError) as error:
                    return f"the configuration cannot be read: {_shown(Path(name))}{_what_is_wrong(error)}"
        return None

    def _check_duplicates(self, key: str, config_per_file: dict[Path, Any]) -> None:
        for file, content in config_per_file.items():
            if not isinstance(content, DictConfig):
                raise UserError(f"{_shown(file)}: expected names with values, found a list; write NAME: VALUE")
        try:
            super()._check_duplicates(key, config_per_file)
        except ValueError as error:
            raise UserError(f"{' '.join(str(error).split())}; keep each in one of the files") from error
        files = {str(name): file for file, some in config_per_file.items() for name in some}
        self._files[key] = self._files.get(key, {}) | files
        self._first_files[key] = files | self._first_files.get(key, {})

    def _merge_and_resolve(self, key: str, config_per_file: dict[Path, DictConfig]) -> dict[str, Any]:
        before = {file: OmegaConf.to_container(some) for file, some in config_per_file.items()}  # merging changes them
        try:
            merged: dict[str, Any] = super()._merge_and_resolve(key, config_per_file)
        except OmegaConfBaseException as error:
            name = str(error.full_key or "")
            file = next((file for file, some in before.items() if _has(some, name.split("."))), None)
            raise UserError(f"{named_place(file, name)}: {_unresolved(error)}") from error
        return merged


def _has(content: Any, keys: Sequence[str]) -> bool:
    """Whether a file says something of a key, which is given as the names on the way to it."""
    if not keys:
        return True
    return isinstance(content, Mapping) and keys[0] in content and _has(content[keys[0]], keys[1:])


def _without_patterns(entries: dict[str, Any]) -> dict[str, Any]:
    """The catalog with an entry for every click model in the place of each pattern ``{model}_…``.

    Kedro takes braces in the paths of a pattern for what is to be filled in; those may be of a folder's name.
    """
    found = {name: entry for name, entry in entries.items() if PATTERN not in name}
    for name, entry in entries.items():
        for model in CLICK_MODELS if PATTERN in name else ():
            found.setdefault(name.replace(PATTERN, model), _filled(entry, model))
    return found


def _texts(entry: Any) -> Iterator[str]:
    """All texts in an entry."""
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, Mapping):
        for value in entry.values():
            yield from _texts(value)


def _filled(entry: Any, model: str) -> Any:
    if isinstance(entry, str):
        return entry.replace(PATTERN, model)
    if isinstance(entry, Mapping):
        return {name: _filled(value, model) for name, value in entry.items()}
    return [_filled(one, model) for one in entry] if isinstance(entry, list) else entry


class _Literally:
    """The file system of a folder, to which brackets in the folder's own name are no pattern."""

    def __init__(self, files: Any, folder: Path) -> None:
        self._files = files
        self._folder = folder.as_posix()

    def glob(self, pattern: str) -> list[str]:
        """The files and folders of a pattern below the folder. (To Path.glob, ** is folders alone.)"""
        inside = pattern.removeprefix(f"{self._folder}/")
        return [f"{self._folder}/{name}" for name in glob.glob(inside, root_dir=self._folder, recursive=True)]  # noqa: PTH207

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


def data_parameters(parameters: Mapping[str, Any]) -> DataParameters:
    """What the catalog reads of all parameters.

    Raises:
        pydantic.ValidationError: a value does not fit.
    """
    fields = DataParameters.model_fields
    return DataParameters.model_validate({name: value for name, value in parameters.items() if name in fields})


def wrong_data(parameters: Mapping[str, Any]) -> list[str]:
    """What to say of the values that the catalog cannot be made from."""
    try:
        data_parameters(parameters)
    except ValidationError as error:
        return invalid_parameters("", DataParameters, error)
    return []


def _home_expanded(entry: Any) -> Any:
    """An entry with the home folder for ``~``, in its paths and in those of the blocks in it."""
    if not isinstance(entry, dict):
        return entry
    return {
        name: str(location(value))
        if name in PATHS and isinstance(value, str) and value.startswith("~")
        else _home_expanded(value)
        for name, value in entry.items()
    }


def named_place(file: Path | None, name: str) -> str:
    """An entry as it is told: its file, where that is known, and its name."""
    return ": ".join(filter(None, (_shown(file) if file is not None else "", name))) or "the configuration"


def _shown(file: Path) -> str:
    """A file as a user names it: from where he is."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def _unresolved(error: OmegaConfBaseException) -> str:
    """The first line of OmegaConf's text; what a resolver says stands behind the name of what it raised."""
    return re.sub(r"^\w+ raised while resolving interpolation: ", "", str(error).splitlines()[0])


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f", row {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return ": it is not written in UTF-8"
    return f": {' '.join(str(error).split())}"
