"""Checkpoints: one file per training job, replaced whole at the end of every epoch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tandem.errors import UserError

FILE_NAME = "latest.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """tensors: weights and optimizer state, as NumPy's arrays; state: all else, as JSON; identity: whose it is."""

    tensors: dict[str, Any]
    state: dict[str, Any]
    identity: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write beside the old one and rename: there is always one whole checkpoint.

    Raises UserError where it cannot be written; the old one is then as it was.
    """
    temporary = folder / f".{FILE_NAME}.partial"
    metadata = {"state": json.dumps(checkpoint.state), "identity": json.dumps(checkpoint.identity, sort_keys=True)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: np.asarray(value) for name, value in checkpoint.tensors.items()}  # scalars too
        save_file(tensors, temporary, metadata)
        temporary.replace(folder / FILE_NAME)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write the checkpoint {folder / FILE_NAME}: {error}; make room or the place writable, and run "
            "again with resume: the checkpoint before it is as it was"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(folder: Path, identity: Mapping[str, Any]) -> Checkpoint:
    """Read the checkpoint of this very job.

    Raises UserError where there is none, where it cannot be read, or where it was made with other data, parameters or
    number of ranks: the message names the first difference.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise UserError(f"nothing to resume: {path} does not exist; run without resume first")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- not a mapping
        checkpoint = Checkpoint(tensors, json.loads(metadata["state"]), json.loads(metadata["identity"]))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): delete it and run without resume") from error
    _check_identity(path, checkpoint.identity, json.loads(json.dumps(dict(identity))))
    return checkpoint


def remove_checkpoint(folder: Path) -> None:
    """Forget what an earlier job left."""
    for name in (FILE_NAME, f".{FILE_NAME}.partial"):
        (folder / name).unlink(missing_ok=True)


def _check_identity(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            raise UserError(
                f"{path} was made with {key} = {found.get(key)} and this run has {wanted.get(key)}: "
                "resume with the same settings and data, or run without resume"
            )
