"""What the folder of a trained model says of itself: ``config.json``, the same contract for every model.

It names the kind of the model, the format, the feature spec that its ids are of, and the calibration of its logits.
"""

import json
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.errors import UserError

CONFIG_FILE = "config.json"
FORMAT_VERSION: Literal[1] = 1
EVALUATED = "evaluated"
"""Folder in that of a published model with the one that the report is of, where they differ."""


class Calibration(BaseModel):
    """Platt scaling (Platt 1999) of logits, fitted on held-out training rows; the identity where nothing was fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float = 1.0
    offset: float = 0.0


class ModelConfig(BaseModel):
    """What every trained model says of itself; a family adds what it takes to load its weights.

    tag: of the pipeline's nodes that train it, for messages.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    tag: str
    format_version: Literal[1] = FORMAT_VERSION
    feature_spec_fingerprint: str = ""
    calibration: Calibration = Calibration()


AnyConfig = TypeVar("AnyConfig", bound=ModelConfig)


def write_config(config: ModelConfig, folder: Path) -> None:
    """``config.json`` in the model's folder, which exists."""
    (folder / CONFIG_FILE).write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")


def read_config(folder: Path, model: type[AnyConfig]) -> AnyConfig:
    """The configuration of a model of this family.

    Raises:
        UserError: there is none, it is of another format or family, or damaged.
    """
    path, tag, kind = folder / CONFIG_FILE, _tag(folder, model), model.model_fields["kind"].default
    check_is_file(path, tag)
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): train the model again: kedro run --tags {tag}") from error
    for name, wanted in (("format_version", FORMAT_VERSION), ("kind", kind)):
        said = found.get(name) if isinstance(found, dict) else None
        if said != wanted:
            raise UserError(
                f"{path} has {name} {said}, expected {wanted}: train the model again: kedro run --tags {tag}"
            )
    try:
        return model.model_validate(found)
    except ValidationError as error:
        what = error.errors()[0]
        where = ".".join(map(str, what["loc"]))
        raise UserError(
            f"{path} is damaged ({where}: {what['msg']}): train the model again: kedro run --tags {tag}"
        ) from error


def _tag(folder: Path, model: type[ModelConfig]) -> str:
    """Of the nodes that train the model of a folder: of a family of several models, the folder has the model's name."""
    field = model.model_fields["tag"]
    return folder.name if field.is_required() else str(field.default)


def check_trained_on(folder: Path, model: type[ModelConfig], fingerprint: str) -> None:
    """Raise UserError where the model of a folder was trained with another feature spec than that of this fingerprint.

    Its ids would stand for other values, or rows that it was trained on would be tested.
    """
    config = read_config(folder, model)
    if config.feature_spec_fingerprint != fingerprint:
        raise UserError(
            f"the model in {folder} was trained on other data (feature spec {config.feature_spec_fingerprint}) than "
            f"what is prepared now ({fingerprint}): train it again: kedro run --tags {config.tag}"
        )


def check_is_file(path: Path, tag: str) -> None:
    """Raise UserError where a file of a model is missing; tag: of the nodes that train it."""
    if not path.is_file():
        raise UserError(f"{path} is missing: train a model first: kedro run --tags {tag}")
