"""Two towers in Keras: columns of a user to a vector, columns of an item to a vector, and their product is the score.

After Covington et al. 2016 and Yi et al. 2019. Both towers are functional Keras models that take a dict of columns,
each [batch], and return vectors [batch, output_dim], float32, of length 1 by default. They are saved as ``.keras``
files beside a ``config.json``, in fp32 whatever they were trained in.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from tandem.artifacts import check_is_file, write_config
from tandem.errors import UserError
from tandem.layers.keras_features import Indicators, Numbers, RowEmbedding
from tandem.layers.towers import InputDense, Score, Vectors
from tandem.models.two_tower.config import ITEM_FILE, USER_FILE, TwoTowerConfig
from tandem.parameters import TowerParameters

Precision = Literal["fp32", "bf16"]
_POLICIES = {"fp32": "float32", "bf16": "mixed_bfloat16"}


def build_tower(config: TwoTowerConfig, columns: TowerParameters, name: str) -> keras.Model:
    """One tower under the current dtype policy.

    Raises UserError where a column is not one of the feature spec's.
    """
    parameters = config.parameters
    inputs = {column: keras.Input((), dtype="int32", name=column) for column in columns.ids}
    inputs |= {column: keras.Input((), dtype="float32", name=column) for column in columns.continuous}
    embedded = _embedded(inputs, config, columns, name)
    given = _given(inputs, config, columns)
    widths = [*parameters.hidden_units, parameters.output_dim]
    activations: list[Literal["relu", "linear"]] = ["relu"] * len(parameters.hidden_units)
    activations.append(parameters.output_activation)
    hidden = _first_layer(embedded, given, widths[0], activations[0])
    for index, (width, activation) in enumerate(zip(widths[1:], activations[1:], strict=True), start=2):
        hidden = keras.layers.Dense(width, activation=activation, name=f"dense_{index}")(hidden)
    return keras.Model(inputs, Vectors(normalize=parameters.normalize, name="vectors")(hidden), name=name)


def _embedded(inputs: dict[str, Any], config: TwoTowerConfig, columns: TowerParameters, name: str) -> list[Any]:
    """What is learnt of the inputs: [batch, columns x dim], or nothing."""
    if not columns.embeddings:
        return []
    sizes = {column: config.size(column) for column in columns.embeddings}
    initializer = keras.initializers.RandomUniform(-0.05, 0.05)
    table = RowEmbedding(sizes, config.parameters.embedding_dim, initializer, name=f"{name}_embeddings")
    return [keras.layers.Flatten(name="embedded")(table([inputs[column] for column in sizes]))]


def _given(inputs: dict[str, Any], config: TwoTowerConfig, columns: TowerParameters) -> list[Any]:
    """What is read as it is: one-hot ids, and numbers."""
    given = []
    if columns.indicators:
        sizes = {column: config.size(column) for column in columns.indicators}
        given.append(Indicators(sizes, name="indicators")([inputs[column] for column in sizes]))
    if columns.continuous:
        given.append(Numbers(name="numbers")([inputs[column] for column in columns.continuous]))
    return given


def _first_layer(embedded: list[Any], given: list[Any], units: int, activation: Literal["relu", "linear"]) -> Any:
    sides = [keras.layers.concatenate(side) if len(side) > 1 else side[0] for side in (embedded, given) if side]
    if len(sides) == 2:
        return InputDense(units, activation, name="dense_1")(sides)
    return keras.layers.Dense(units, activation=activation, name="dense_1")(sides[0])


def build_towers(
    config: TwoTowerConfig, precision: Precision = "fp32", seed: int = 0
) -> tuple[keras.Model, keras.Model]:
    """(user_tower, item_tower) with initial weights that the seed decides.

    Raises UserError where a column is not one of the feature spec's.
    """
    keras.utils.set_random_seed(seed)
    with computing_in(precision):
        user = build_tower(config, config.parameters.user, "user_tower")
        return user, build_tower(config, config.parameters.item, "item_tower")


@contextmanager
def computing_in(precision: Precision) -> Iterator[None]:
    """Layers made inside compute in this precision; their weights are float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(_POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def input_columns(tower: keras.Model) -> tuple[str, ...]:
    """The columns that a tower reads."""
    return tuple(tower.input) if isinstance(tower.input, dict) else tuple(tensor.name for tensor in tower.inputs)


def join_towers(user: keras.Model, item: keras.Model, score: Score) -> keras.Model:
    """One model of the columns of both towers, which returns the logits of pairs [batch]: all that is trained."""
    inputs: dict[str, Any] = {}
    for tower in (user, item):
        for name, tensor in zip(input_columns(tower), tower.inputs, strict=True):
            inputs.setdefault(name, keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name))
    vectors = [tower({name: inputs[name] for name in input_columns(tower)}) for tower in (user, item)]
    return keras.Model(inputs, score(vectors), name="two_tower")


def save_towers(
    trained: tuple[keras.Model, keras.Model],
    plain: tuple[keras.Model, keras.Model],
    config: TwoTowerConfig,
    folder: Path,
) -> TwoTowerConfig:
    """Write both towers and their configuration, now with the fingerprint of the weights; returns it.

    trained: (user_tower, item_tower); plain: the same towers built in fp32, which take over the weights and are saved,
    so that any machine loads them, whatever they were trained in.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source, saved, file in zip(trained, plain, (USER_FILE, ITEM_FILE), strict=True):
        saved.set_weights(source.get_weights())
        saved.save(folder / file)
    complete = config.model_copy(update={"model_fingerprint": weights_fingerprint(*trained)})
    write_config(complete, folder)
    return complete


def weights_fingerprint(user: keras.Model, item: keras.Model) -> str:
    """16 hex digits that change with any weight."""
    digest = hashlib.sha256()
    for weights in (*user.get_weights(), *item.get_weights()):
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()[:16]


def load_tower(folder: Path, file: str) -> keras.Model:
    """One of the two towers, ``USER_FILE`` or ``ITEM_FILE``; code in the file is never run (Keras's safe mode).

    Raises UserError where the file is missing or cannot be read.
    """
    path = folder / file
    check_is_file(path, "two_tower")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be loaded ({str(error).splitlines()[0]}); train again") from error
