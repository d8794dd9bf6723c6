"""What is left out of a framework's import stays out, and can be had by whoever asks for it afterwards; no rank loads
the other framework."""

import json
import subprocess
import sys

import pytest

_PROCESS = """
import json, sys
from tandem.imports import UNUSED, import_tensorflow

import_tensorflow()
loaded = [name for name in (*UNUSED, "keras", "tensorflow") if name in sys.modules]
import sklearn.linear_model
print(json.dumps([loaded, sys.modules["sklearn"].__name__]))
"""

_RANK = """
import json, sys
import {module}
print(json.dumps([name for name in ("torch", "tensorflow", "keras", "pyspark", "kedro") if name in sys.modules]))
"""


def test_keras_comes_without_what_no_rank_uses() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(ran.stdout) == [["keras", "tensorflow"], "sklearn"]


@pytest.mark.parametrize(
    ("module", "framework"),
    [
        ("tandem.models.ncf.task", ["torch"]),
        ("tandem.models.click.torch_task", ["torch"]),
        ("tandem.models.click.keras_task", ["tensorflow", "keras"]),
        ("tandem.models.two_tower.task", ["tensorflow", "keras"]),
        # What a node reads before it starts ranks.
        ("tandem.models.ncf.sharing", []),
        ("tandem.models.click.rows", []),
        ("tandem.models.two_tower.sharing", []),
    ],
)
def test_a_rank_loads_its_own_framework_alone(module: str, framework: list[str]) -> None:
    program = "from tandem.imports import import_tensorflow\nimport_tensorflow()\n" if "keras" in framework else ""
    program += _RANK.format(module=module)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(ran.stdout) == framework
