"""What is left out of a framework's import stays out, and can be had by whoever asks for it afterwards."""

import json
import subprocess
import sys

_PROCESS = """
import json, sys
from tandem.imports import UNUSED, import_tensorflow

import_tensorflow()
loaded = [name for name in (*UNUSED, "keras", "tensorflow") if name in sys.modules]
import sklearn.linear_model
print(json.dumps([loaded, sys.modules["sklearn"].__name__]))
"""


def test_keras_comes_without_what_no_rank_uses() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(ran.stdout) == [["keras", "tensorflow"], "sklearn"]
