"""Checkpoints: one file per training job, replaced whole at the end of every epoch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open

from tandem.errors import UserError

FILE_NAME = "latest.safetensors"

Kind = Literal["pt", "np"]
"""What the tensors are: PyTorch's, or NumPy's arrays (for a rank of TensorFlow, which must not import torch)."""


@dataclass(frozen=True)
class Checkpoint:
    """tensors: weights and optimizer state; state: everything else, as JSON; identity: what it belongs to."""

    tensors: dict[str, Any]
    state: dict[str, Any]
    identity: dict[str, Any]


def save_checkpoint(checkpoint: Checkpoint, folder: Path, kind: Kind = "pt") -> None:
    """Write beside the old one and rename: there is always one whole checkpoint.

    Raises UserError where it cannot be written; the old one is then as it was.
    """
    temporary = folder / f".{FILE_NAME}.partial"
    metadata = {"state": json.dumps(checkpoint.state), "identity": json.dumps(checkpoint.identity, sort_keys=True)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _save_file(checkpoint.tensors, temporary, metadata, kind)
        temporary.replace(folder / FILE_NAME)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot write the checkpoint {folder / FILE_NAME}: {error}; make room or the place writable, and run "
            "again with resume: the checkpoint before it is as it was"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(folder: Path, identity: Mapping[str, Any], kind: Kind = "pt") -> Checkpoint:
    """Read the checkpoint of this very job.

    Raises UserError where there is none, where it cannot be read, or where it was made with other data, parameters or
    number of ranks: the message names the first difference.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise UserError(f"nothing to resume: {path} does not exist; run without resume first")
    try:
        with safe_open(path, framework=kind) as file:
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


def _save_file(tensors: Mapping[str, Any], path: Path, metadata: dict[str, str], kind: Kind) -> None:
    if kind == "pt":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    else:
        import numpy as np
        from safetensors.numpy import save_file as save_arrays

        save_arrays({name: np.asarray(value) for name, value in tensors.items()}, path, metadata)  # scalars too


def _check_identity(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            raise UserError(
                f"{path} was made with {key} = {found.get(key)} and this run has {wanted.get(key)}: "
                "resume with the same settings and data, or run without resume"
            )
