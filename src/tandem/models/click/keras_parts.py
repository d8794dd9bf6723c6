"""Parts that Keras click models share: inputs, first-order weights, embedded ids, and a deep network.

A dense layer has no bias of its own before batch normalisation, which subtracts it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tandem.layers.keras_features import FirstDense, Indicators, NormReluDropout, Numbers, RowEmbedding, RowSum
from tandem.parameters.click import ClickModelParameters


@dataclass(frozen=True)
class Columns:
    """The inputs of a model by column: ids int32 [batch], numbers float32 [batch]; sizes: number of ids of each."""

    ids: dict[str, Any]
    numbers: dict[str, Any]
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, sizes: Mapping[str, int], parameters: ClickModelParameters) -> "Columns":
        """New inputs for all columns that the parameters name."""
        ids = {name: keras.Input((), dtype="int32", name=name) for name in parameters.id_columns}
        numbers = {name: keras.Input((), dtype="float32", name=name) for name in parameters.continuous}
        return cls(ids, numbers, sizes)

    def model(self, terms: Sequence[Any], name: str) -> keras.Model:
        """The model whose logit, float32 [batch, 1], is the sum of these terms."""
        logit = terms[0] if len(terms) == 1 else keras.layers.Add(name="logit", dtype="float32")(list(terms))
        return keras.Model({**self.ids, **self.numbers}, logit, name=name)

    def sizes_of(self, names: Sequence[str]) -> dict[str, int]:
        """The sizes of these columns alone."""
        return {name: self.sizes[name] for name in names}


def policy_of(precision: str) -> str:
    """Keras' dtype policy of the dense layers: ``bf16`` computes in bfloat16, weights stay float32."""
    return "mixed_bfloat16" if precision == "bf16" else "float32"


def first_order(columns: Columns, names: Sequence[str]) -> Any:
    """The sum of one weight for each id, float32 [batch, 1]; the weights begin at zero."""
    sizes = columns.sizes_of(names)
    rows = RowEmbedding(sizes, 1, initializer="zeros", dtype="float32", name="wide_weights")
    return RowSum(name="wide", dtype="float32")(rows([columns.ids[name] for name in sizes]))


def embedded(columns: Columns, parameters: ClickModelParameters, policy: str, seed: int) -> Any:
    """The embeddings of the ids, [batch, columns, dim] in the policy's compute type."""
    sizes = columns.sizes_of(parameters.embeddings)
    initializer = keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
    table = RowEmbedding(sizes, parameters.embedding_dim, initializer, dtype=policy, name="embeddings")
    return table([columns.ids[name] for name in sizes])


def deep(columns: Columns, rows: Any | None, parameters: ClickModelParameters, policy: str, seed: int) -> Any:
    """The logit of [Dense -> batch norm -> ReLU -> dropout] x n -> Dense(1), float32 [batch, 1].

    Args:
        columns: those of the indicators and the numbers go in.
        rows: embeddings, [batch, columns, dim], which go in too; None: there are none.
        parameters: widths, dropout, indicators and numbers.
        policy: dtype policy of the hidden layers.
        seed: of weights and dropout.
    """
    hidden = _deep_input(columns, rows, parameters, policy)
    for index, width in enumerate(parameters.hidden_units):
        name, own_seed = f"dense_{index + 1}", seed + index + 1
        if index == 0 and len(hidden) == 2:
            values = FirstDense(width, seed=own_seed, dtype=policy, name=name)(hidden)
        else:
            initializer = keras.initializers.GlorotUniform(seed=own_seed)
            dense = keras.layers.Dense(width, use_bias=False, kernel_initializer=initializer, dtype=policy, name=name)
            values = dense(hidden[0])
        hidden = [NormReluDropout(parameters.dropout, seed=own_seed, dtype=policy, name=f"norm_{index + 1}")(values)]
    if len(hidden) == 2:
        hidden = [keras.layers.Concatenate(dtype="float32", name="deep_input")(hidden)]
    initializer = keras.initializers.GlorotUniform(seed=seed + len(parameters.hidden_units) + 1)
    return keras.layers.Dense(1, kernel_initializer=initializer, dtype="float32", name="deep")(hidden[0])


def _deep_input(columns: Columns, rows: Any | None, parameters: ClickModelParameters, policy: str) -> list[Any]:
    """What is learnt and what is given, each [batch, n]; one of them may be missing."""
    learnt = [] if rows is None else [keras.layers.Flatten(dtype=policy, name="embedded")(rows)]
    given = []
    if parameters.indicators:
        sizes = columns.sizes_of(parameters.indicators)
        given.append(Indicators(sizes, dtype=policy, name="indicators")([columns.ids[name] for name in sizes]))
    if parameters.continuous:
        numbers = [columns.numbers[name] for name in parameters.continuous]
        given.append(Numbers(dtype=policy, name="numbers")(numbers))
    if len(given) == 2:
        given = [keras.layers.Concatenate(dtype=policy, name="given")(given)]
    return learnt + given
