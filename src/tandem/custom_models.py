"""Models of the user's own: a function, named by its dotted path in the parameters, that builds one."""

import importlib
from collections.abc import Callable
from typing import Any

from tandem.errors import UserError


def build_by_path(parameter: str, path: str, *arguments: Any, **options: Any) -> Any:
    """What the function at ``path`` ("my_package.deepfm.build") returns.

    Args:
        parameter: the parameter that names it, for messages ("wnd.builder").
        path: dotted path, importable by the ranks: installed, or below the project's ``src``.
        arguments: for the function.
        options: for the function, by name.

    Raises:
        UserError: there is no such function, or it raised: one line that says what, with the last line of its own.
    """
    function = _imported(parameter, path)
    try:
        return function(*arguments, **options)
    except Exception as error:
        raise UserError(f"{parameter}: {path} raised {_in_one_line(error)}") from error


def module_of(parameter: str, path: str) -> Any:
    """The module of a dotted path; UserError where it cannot be imported."""
    module, _, _ = path.rpartition(".")
    if not module:
        raise UserError(f"{parameter}: {path} is no dotted path; write package.module.function")
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise UserError(f"{parameter}: {module} cannot be imported: {_in_one_line(error)}") from error


def _imported(parameter: str, path: str) -> Callable[..., Any]:
    module, name = module_of(parameter, path), path.rpartition(".")[2]
    function = getattr(module, name, None)
    if not callable(function):
        raise UserError(f"{parameter}: {module.__name__} has no function {name}")
    return function  # type: ignore[no-any-return]


def _in_one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
