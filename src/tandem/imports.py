"""Frameworks, imported without what they would load and nothing here uses."""

import importlib
import sys
from typing import Any, cast

# Keras has wrappers for scikit-learn's estimators and an editor of saved models for IPython's notebooks, and imports
# both where they are installed: a third of the seconds that it takes to import TensorFlow.
UNUSED = ("sklearn", "IPython")


def import_tensorflow() -> None:
    """Import TensorFlow with its Keras. What is left out can still be imported afterwards."""
    # That None stands for "not to be found" is the import system's own rule.
    modules = cast("dict[str, Any]", sys.modules)
    absent = [name for name in UNUSED if name not in modules]
    modules.update(dict.fromkeys(absent))
    try:
        importlib.import_module("tensorflow")
    finally:
        for name in absent:
            if modules.get(name) is None:
                modules.pop(name, None)
