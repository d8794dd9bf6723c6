"""Frameworks, imported without what they would load and nothing here uses."""

import importlib
import os
import sys
from typing import Any, cast

# Keras has wrappers for scikit-learn's estimators and an editor of saved models for IPython's notebooks, and imports
# both where they are installed: a third of the seconds that it takes to import TensorFlow.
UNUSED = ("sklearn", "IPython")


# By these, and by a keras.json in somebody's home, Keras computes on another framework or in other numbers.
ELSEWHERE = ("TF_USE_LEGACY_KERAS", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


def import_tensorflow() -> None:
    """Import TensorFlow with its Keras, whatever they were told elsewhere. What is left out can be imported later."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["KERAS_HOME"] = os.devnull  # a place without a keras.json, in which none can be made
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
